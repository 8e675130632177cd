// A real Weir in front of servers of this process, for the tests of the page.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const kToken = "0123456789abcdef-for-tests";
/** A sanitized daemon on a busy machine is slow; only a test that fails waits as long. */
export const kPatience = 60_000;

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Until `look` answers something that counts; what it answers. */
export async function eventually(what, look) {
  const end = Date.now() + kPatience;
  let last;
  for (;;) {
    try {
      last = await look();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`not in time: ${what} (last: ${last})`);
    await pause(50);
  }
}

export async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** A server that greets with one byte, and holds what it has accepted. */
export class Backend {
  sockets = new Set();

  static async start(port = 0) {
    const out = new Backend();
    out.server = createServer((socket) => {
      out.sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => out.sockets.delete(socket));
      socket.write("x");
      socket.resume();
    });
    await new Promise((done, failed) => out.server.on("error", failed).listen(port, "127.0.0.1", done));
    out.port = out.server.address().port;
    return out;
  }
  async stop() {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((done) => this.server.close(done));
  }
}

export class Weir {
  clients = new Set();

  /** `pools`: name -> { balance, probe, backends: [{ name, address }] }; the first is the listener's. */
  constructor(binary, pools, { token = kToken } = {}) {
    this.binary = binary;
    this.folder = mkdtempSync(join(tmpdir(), "weir-page-"));
    this.socket = join(this.folder, "admin.sock");
    this.pools = pools;
    this.token = token;
  }
  async configure() {
    this.port ??= await freePort();
    this.webPort ??= await freePort();
    this.origin = `http://127.0.0.1:${this.webPort}`;
    const names = Object.keys(this.pools);
    const tokenFile = join(this.folder, "token");
    writeFileSync(tokenFile, this.token + "\n", { mode: 0o600 });
    let text = `workers = 2\nstate_file = ""\n[admin]\nsocket = "${this.socket}"\n[log]\naccess = "off"\n`;
    text += `[web]\nbind = "127.0.0.1:${this.webPort}"\ntoken_file = "${tokenFile}"\n`;
    text += `[[listener]]\nname = "front"\nbind = "127.0.0.1:${this.port}"\npool = "${names[0]}"\n`;
    for (const [name, pool] of Object.entries(this.pools)) {
      text += `[[pool]]\nname = "${name}"\nbalance = "${pool.balance ?? "round_robin"}"\n`;
      text += `[pool.health]\nprobe = "${pool.probe ?? "tcp"}"\n`;
      if (pool.probe !== "none") text += `interval = "200ms"\nfast_interval = "100ms"\nfall = 2\n`;
      for (const { name: backend, address } of pool.backends)
        text += `[[pool.backend]]\nname = "${backend}"\naddress = "${address}"\n`;
    }
    this.file = join(this.folder, "weir.toml");
    writeFileSync(this.file, text);
  }
  async start() {
    await this.configure();
    this.output = "";
    this.process = spawn(this.binary, ["run", "-c", this.file], { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.process.stdout, this.process.stderr])
      stream.setEncoding("utf8").on("data", (text) => (this.output += text));
    this.ended = new Promise((done) => {
      this.process.on("exit", (code) => done(code ?? -1)).on("error", (error) => done(error.message));
    });
    const early = this.ended.then((code) => {
      throw new Error(`weir has ended with ${code}: ${this.output}`);
    });
    early.catch(() => undefined);
    await Promise.race([early, eventually("the daemon is there", async () => (await this.ask("GET", "/v1/ready")).ready)]);
  }
  /** On the admin socket. */
  ask(method, path, body = undefined) {
    return new Promise((done, failed) => {
      const sent = request({ socketPath: this.socket, method, path }, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (part) => (text += part));
        answer.on("end", () => {
          try {
            done(JSON.parse(text));
          } catch (error) {
            failed(error);
          }
        });
      });
      sent.on("error", failed);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
  status() {
    return this.ask("GET", "/v1/status");
  }
  async backend(pool, name) {
    const found = (await this.status()).pools.find((one) => one.name === pool);
    return found.backends.find((one) => one.name === name);
  }
  /** A client that has heard its backend, and stays. */
  async client() {
    const socket = connect(this.port, "127.0.0.1");
    socket.on("error", () => undefined);
    this.clients.add(socket);
    socket.on("close", () => this.clients.delete(socket));
    await new Promise((done, failed) => socket.once("data", done).once("close", () => failed(new Error("closed"))));
    return socket;
  }
  async end(signal = "SIGKILL") {
    for (const client of this.clients) client.destroy();
    if (!this.process) return undefined;
    if (this.process.exitCode === null) this.process.kill(signal);
    return await this.ended;
  }
  async stop() {
    await this.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
