// A static server: files of a folder under a path, without special headers.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
  ".svg": "image/svg+xml",
  ".json": "application/json",
};

/// Serves `folder` under `/some/path/`, and each folder of `also` under its name there; resolves to { url, close }.
export function serve(folder, also = {}, prefix = "/some/path/") {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    // Browsers request it by themselves.
    if (path === "/favicon.ico") return response.writeHead(204).end();
    if (!path.startsWith(prefix)) return response.writeHead(404).end();
    const [first, ...rest] = path.slice(prefix.length).split("/");
    let file = Object.hasOwn(also, first) ? join(also[first], ...rest) : join(folder, first, ...rest);
    try {
      if (statSync(file).isDirectory()) file = join(file, "index.html");
      const { size } = statSync(file);
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-length": size });
      createReadStream(file).pipe(response);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const close = () => {
        server.closeAllConnections();
        return new Promise((done) => server.close(done));
      };
      resolve({ url: `http://127.0.0.1:${server.address().port}${prefix}`, close });
    });
  });
}
