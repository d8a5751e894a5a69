// A model hub on its own origin, with the real one's interface: a list with sizes and hashes, and files with ranges. Tests inject
// network faults.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

/// Bytes of the fake model `golden/large`: more than a browser reserves for a file at once.
const LARGE = 12_000_000;

function list(files) {
  return Object.entries(files).map(([path, bytes]) => {
    const entry = { type: "file", path, size: bytes.length, oid: "0" };
    const oid = createHash("sha256").update(bytes).digest("hex");
    return path.endsWith(".safetensors") ? { ...entry, lfs: { oid, size: bytes.length, pointerSize: 134 } } : entry;
  });
}

/// Serves `folder` as the model `golden/tiny`, with a manifest that is not in the hub's list; resolves to { url, requests, fault, close }.
/// `fault(name, range)` may return { cut: BYTES } to interrupt a response, { hold: PROMISE } to pause in the middle, { status }, or
/// { damage: true }.
export function serveHub(folder, manifest) {
  const hub = { requests: [], fault: () => undefined };
  const tiny = Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
  const models = { tiny, large: { "config.json": Buffer.from("{}"), "model.safetensors": Buffer.alloc(LARGE) } };
  const lists = Object.fromEntries(Object.entries(models).map(([model, files]) => [model, JSON.stringify(list(files))]));
  tiny["manifest.json"] = readFileSync(manifest);
  const server = createServer(async (request, response) => {
    response.setHeader("access-control-allow-origin", "*");
    const { pathname } = new URL(request.url, "http://localhost");
    const range = request.headers.range ?? null;
    hub.requests.push({ pathname, range });
    const listed = lists[pathname.match(/^\/api\/models\/golden\/(\w+)\/tree\/main$/)?.[1]];
    if (listed) return response.end(listed);
    const [, model, name] = pathname.match(/^\/golden\/(\w+)\/resolve\/main\/(.*)$/) ?? [];
    const whole = models[model]?.[name];
    if (!whole) return response.writeHead(404).end();
    const fault = hub.fault(name, range) ?? {};
    if (fault.status) return response.writeHead(fault.status).end();
    if (request.method === "HEAD") return response.writeHead(200, { "content-length": whole.length }).end();
    const start = range ? Number(range.match(/^bytes=(\d+)-$/)[1]) : 0;
    const bytes = Buffer.from(whole.subarray(start));
    if (fault.damage) bytes[bytes.length - 1] ^= 1;
    const headers = { "content-length": bytes.length, "accept-ranges": "bytes" };
    if (range) headers["content-range"] = `bytes ${start}-${whole.length - 1}/${whole.length}`;
    response.writeHead(range ? 206 : 200, headers);
    if (fault.cut !== undefined) {
      response.write(bytes.subarray(0, fault.cut), () => setTimeout(() => response.destroy(), 50));
    } else if (fault.hold) {
      response.write(bytes.subarray(0, bytes.length >> 1));
      await fault.hold;
      response.end(bytes.subarray(bytes.length >> 1));
    } else response.end(bytes);
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      hub.url = `http://127.0.0.1:${server.address().port}`;
      hub.close = () => {
        server.closeAllConnections();
        return new Promise((done) => server.close(done));
      };
      resolve(hub);
    });
  });
}
