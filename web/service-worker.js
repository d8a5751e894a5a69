// Offline use after the first visit.
//
// Files with a content hash in their name or their folder's name never change, so they come from the cache. The rest, index.html,
// comes from the network if it's available. The page registers this file with its build's hash, so each build has its own cache,
// and older caches are deleted: those of this deployment, because other ones on the same origin have theirs.
const SCOPE = self.registration.scope;
/// The names of this deployment's caches begin so. No URL has a space.
const OWN = `clove ${SCOPE} `;
const CACHE = OWN + new URL(self.location.href).search.slice(1);
const HASHED = /-[0-9a-f]{16}(_bg)?(\.\w+$|\/)/;

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name !== CACHE && (name.startsWith(OWN) || (await isEarlier(name)))) await caches.delete(name);
      }
      await self.clients.claim();
    })(),
  );
});

/// Whether a cache is of this deployment and of a version that didn't put the scope into the name: it has the page.
async function isEarlier(name) {
  return name.startsWith("clove-") && (await (await caches.open(name)).match(SCOPE)) !== undefined;
}

self.addEventListener("message", (event) => {
  // What the first visit fetched before this worker was there.
  if (Array.isArray(event.data)) event.waitUntil(keepAll(event.data));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  // Models have a storage of their own; whatever else there is goes its own way.
  if (HASHED.test(url.pathname)) event.respondWith(cacheFirst(request));
  else if (request.mode === "navigate") event.respondWith(networkFirst(request));
});

/// The page is the same whatever its query says.
const key = (request) => {
  const url = new URL(typeof request === "string" ? request : request.url);
  url.search = "";
  url.hash = "";
  if (url.pathname.endsWith("/index.html")) url.pathname = url.pathname.slice(0, -"index.html".length);
  return url.href;
};

async function keep(request, response) {
  if (!response.ok || response.status === 206) return;
  const cache = await caches.open(CACHE);
  // A full disk is no reason not to answer.
  await cache.put(key(request), response.clone()).catch(() => {});
}

async function keepAll(urls) {
  const cache = await caches.open(CACHE);
  for (const url of urls) {
    if (new URL(url).origin !== self.location.origin || (await cache.match(key(url)))) continue;
    await fetch(url).then((response) => keep(url, response), () => {});
  }
}

async function cacheFirst(request) {
  const cached = await (await caches.open(CACHE)).match(key(request));
  if (cached) return cached;
  const response = await fetch(request);
  await keep(request, response);
  return response;
}

async function networkFirst(request) {
  try {
    const response = await fetch(request);
    await keep(request, response);
    return response;
  } catch (error) {
    const cached = await (await caches.open(CACHE)).match(key(request));
    if (cached) return cached;
    throw error;
  }
}
