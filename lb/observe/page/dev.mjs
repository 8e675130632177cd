// Serves the page while it is being written, built anew at each request, in front of a Weir's admin socket: no rebuild of
// the daemon. What [web] does beyond that (Host and Origin rules, a token that is really secret) is not here.
//   node dev.mjs [SOCKET] [PORT]     default: /tmp/weir-demo.sock 9111; the token is "dev"
import { createServer, request } from "node:http";
import { page } from "./build.mjs";

const [socketPath = "/tmp/weir-demo.sock", port = "9111"] = process.argv.slice(2);

function ask(method, path, headers = {}, body = "") {
  return new Promise((done, failed) => {
    const sent = request({ socketPath, method, path, headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part) => (text += part));
      answer.on("end", () => done({ status: answer.statusCode, text }));
    });
    sent.on("error", failed);
    sent.end(body);
  });
}

function stream(answer, every, next) {
  answer.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  answer.flushHeaders();
  const step = async () => {
    try {
      for (const one of await next()) answer.write(`data: ${JSON.stringify(one)}\n\n`);
    } catch {
      answer.destroy();
    }
  };
  const timer = setInterval(step, every);
  answer.on("close", () => clearInterval(timer));
  step();
}

createServer(async (asked, answer) => {
  try {
    const url = new URL(asked.url, "http://weir");
    if (url.pathname === "/") {
      const { html, policy } = await page();
      answer.writeHead(200, { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy });
      return answer.end(html);
    }
    if (url.pathname === "/v1/live")
      return stream(answer, 1000, async () => [JSON.parse((await ask("GET", "/v1/status")).text)]);
    if (url.pathname === "/v1/events" && url.searchParams.has("follow")) {
      let since = Date.now();
      return stream(answer, 500, async () => {
        const from = since;
        since = Date.now();
        return JSON.parse((await ask("GET", `/v1/events?since_ms=${since - from + 1}`)).text).events;
      });
    }
    const closed = asked.method !== "GET" || url.pathname === "/v1/sessions";
    if (closed && asked.headers.authorization !== "Bearer dev") {
      answer.writeHead(401, { "Content-Type": "application/json" });
      return answer.end('{"error":{"code":"token","message":"a token is needed, or another one"}}');
    }
    let body = "";
    for await (const part of asked) body += part;
    const got = await ask(asked.method, asked.url, { "Content-Type": "application/json" }, body);
    answer.writeHead(got.status, { "Content-Type": "application/json" });
    answer.end(got.text);
  } catch (error) {
    answer.destroy(error);
  }
}).listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/ in front of ${socketPath}`));
