// What the page says is what the daemon says.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { Browser } from "./browser.mjs";
import { Backend, Weir, eventually, freePort, kToken, pause } from "./rig.mjs";

// Every character that a name may have.
const kOdd = "a.b_c:[x]-1";
const kMarkup = `<script>document.title='hacked'</script><img src=x onerror="window.hacked=1"> "quoted" & 'so' — ünïcödé ☂ עברית`;

let browser, weir, one, two;

before(async () => {
  browser = await Browser.start();
  [one, two] = [await Backend.start(), await Backend.start()];
  weir = new Weir(process.env.WEIR, {
    web: {
      backends: [
        { name: "web1", address: `127.0.0.1:${one.port}` },
        { name: kOdd, address: `127.0.0.1:${two.port}` },
      ],
    },
    "other.pool:[9]": { backends: [{ name: "o1", address: `127.0.0.1:${one.port}` }] },
  });
  await weir.start();
});
after(async () => {
  await weir?.stop();
  await one?.stop();
  await two?.stop();
  await browser?.stop();
});

const cell = (page, name, column) =>
  page.locator(`.backends .body .row:has(.c-name a:text-is("${name}")) .c-${column}`).innerText();
const number = (text) => Number(text.replaceAll(",", "").trim());

test("every value on a pool's page is that of the status", async () => {
  for (let i = 0; i < 7; ++i) await weir.client();
  const page = await browser.open(weir.origin, { hash: "#/pool/web" });
  const same = async () => {
    const pool = (await weir.status()).pools.find(({ name }) => name === "web");
    for (const backend of pool.backends) {
      assert.equal(number(await cell(page, backend.name, "active")), backend.active);
      assert.equal(number(await cell(page, backend.name, "failed")), backend.connect_failures);
      assert.equal(await cell(page, backend.name, "address"), backend.address);
      assert.equal(await cell(page, backend.name, "weight"), String(backend.weight));
      assert.equal(await cell(page, backend.name, "state"), backend.health);
      assert.ok((await cell(page, backend.name, "why")).includes(backend.reason.split("(")[0].trim()));
    }
    assert.equal(pool.backends[0].active + pool.backends[1].active, 7);
    assert.ok((await page.locator(".top").innerText()).includes(pool.up));
    return true;
  };
  await eventually("page and status are the same", same);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("the overview has the sum of sessions, every pool, and says that nothing is wrong", async () => {
  const page = await browser.open(weir.origin);
  await eventually("the sum is that of the status", async () => {
    const { sessions } = await weir.status();
    return number(await page.locator(".tile .value").first().innerText()) === sessions.active;
  });
  assert.deepEqual(await page.locator(".pools .c-name a").allInnerTexts(), ["web", "other.pool:[9]"]);
  assert.match(await page.locator(".problems.fine").innerText(), /Nothing is wrong: all 3 backends/);
  await page.locator(".pools .c-name a").nth(1).click();
  assert.equal(await page.locator("main h1").innerText(), "other.pool:[9]");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("the charts are drawn from the daemon's history, which a page that opens late sees", async () => {
  await eventually("the history has the sessions", async () => {
    const { short } = await weir.ask("GET", "/v1/history?pool=web");
    return short.active.at(-1) === 7;
  });
  const page = await browser.open(weir.origin, { hash: "#/pool/web" });
  await page.locator('.chart [role=img][aria-label^="Sessions. sessions: now 7, most 7"]').waitFor();
  await eventually("five charts are drawn", async () => (await page.locator(".chart canvas").count()) === 5);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("what has failed is drawn by kind: a backend has connects, sessions and probes, a pool those it could not serve too", async () => {
  const page = await browser.open(weir.origin, { hash: "#/pool/web" });
  const failures = page.locator('.chart [role=img][aria-label^="Failures each 5 s."]');
  await failures.waitFor();
  const kinds = async () =>
    [...(await failures.getAttribute("aria-label")).matchAll(/(?:\. |; )([a-z ]+): now/g)].map((found) => found[1]);
  assert.deepEqual(await kinds(), ["connects", "cut off", "probes", "unserved"]);
  const nobody = await freePort();
  weir.pools.web.backends.push({ name: "nobody", address: `127.0.0.1:${nobody}` });
  await weir.configure();
  await weir.ask("POST", "/v1/reload");
  await eventually("the history has failed probes", async () => {
    const { short } = await weir.ask("GET", "/v1/history?pool=web&backend=nobody");
    return short.probes_failed.some((n) => n > 0);
  });
  await page.goto(`${weir.origin}/#/pool/web/nobody`);
  await page.locator('.chart [role=img][aria-label^="Failures"][aria-label*="probes: now"]').waitFor();
  await eventually("the page draws them", async () => /probes: now \d+, most [1-9]/.test(await failures.getAttribute("aria-label")));
  assert.deepEqual(await kinds(), ["connects", "cut off", "probes"]);
  weir.pools.web.backends.pop();
  await weir.configure();
  await weir.ask("POST", "/v1/reload");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a backend that goes down is the first thing that is said, live, and an event", async () => {
  const page = await browser.open(weir.origin);
  const { port } = two;
  await two.stop();
  const problem = page.locator(".problems li", { hasText: `web/${kOdd}` });
  await problem.waitFor();
  assert.match(await problem.innerText(), /down: /);
  assert.match(await page.locator(".problems li").first().innerText(), /web degraded: 1 of 2 up/);
  await page.locator(".events li", { hasText: `web/${kOdd}` }).filter({ hasText: "up → down" }).first().waitFor();
  two = await Backend.start(port);
  await page.locator(".problems.fine").waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a name of every odd character leads to its own page", async () => {
  const page = await browser.open(weir.origin, { hash: "#/pool/web" });
  await page.locator(".backends .c-name a", { hasText: kOdd }).click();
  await page.locator("main h1", { hasText: kOdd }).waitFor();
  assert.ok((await page.locator(".top").innerText()).includes(`127.0.0.1:${two.port}`));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("whatever an operator wrote is shown as text", async () => {
  await weir.ask("POST", "/v1/backends/web/web1/drain", { comment: kMarkup });
  const page = await browser.open(weir.origin);
  await page.locator(".held .hint", { hasText: kMarkup }).waitFor();
  await page.goto(`${weir.origin}/#/pool/web/web1`);
  await page.locator(".why", { hasText: kMarkup }).waitFor();
  assert.equal(await page.evaluate(() => globalThis.hacked), undefined);
  assert.equal(await page.locator("main script, main img").count(), 0);
  await weir.ask("POST", "/v1/backends/web/web1/enable");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("names that no daemon of today has are shown as text, too", async () => {
  const page = await browser.open(weir.origin);
  const status = await weir.status();
  status.pools[0].name = kMarkup;
  status.pools[0].backends[0].name = `${kMarkup}/../?#%`;
  status.problems.push(kMarkup);
  // A stream that ends at once, again and again.
  await page.route("**/v1/live", (route) =>
    route.fulfill({ contentType: "text/event-stream", body: `event: status\ndata: ${JSON.stringify(status)}\n\n` }),
  );
  await page.reload();
  await page.locator(".problems .text", { hasText: kMarkup }).first().waitFor();
  await page.locator(".pools .c-name a", { hasText: kMarkup }).click();
  await page.locator("main h1", { hasText: kMarkup }).waitFor();
  await page.locator(".backends .c-name a", { hasText: `${kMarkup}/../?#%` }).click();
  await page.locator("main h1", { hasText: `${kMarkup}/../?#%` }).waitFor();
  assert.equal(await page.evaluate(() => globalThis.hacked), undefined);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("explain says what the daemon says", async () => {
  const page = await browser.open(weir.origin, { hash: "#/explain" });
  await page.getByLabel("Through").selectOption("pool:web");
  await page.getByLabel("Client address").fill("203.0.113.9");
  await page.getByRole("button", { name: "Explain" }).click();
  const answer = page.locator("#answer >> xpath=ancestor::section");
  await answer.waitFor();
  const said = await answer.innerText();
  assert.match(said, /gets web\//);
  const { because } = await weir.ask("GET", "/v1/explain?pool=web&client=203.0.113.9");
  assert.ok(said.includes(because[0].split(":")[0]));
  await page.getByLabel("Client address").fill("nonsense");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.locator(".trouble", { hasText: "nonsense" }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a page of another origin can neither change nor read anything", async () => {
  const server = createServer((_, answer) => answer.writeHead(200, { "Content-Type": "text/html" }).end("<h1>elsewhere</h1>"));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const context = await browser.browser.newContext();
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const tried = await page.evaluate(
    async ([target, token]) => {
      const out = {};
      const attempt = async (name, url, options) => {
        try {
          const answer = await fetch(target + url, options);
          out[name] = answer.type === "opaque" ? "sent blindly" : await answer.text();
        } catch {
          out[name] = "refused";
        }
      };
      const body = JSON.stringify({ force: true });
      await attempt("blind", "/v1/backends/web/web1/drain", { method: "POST", mode: "no-cors", body });
      await attempt("token", "/v1/backends/web/web1/drain", { method: "POST", headers: { Authorization: `Bearer ${token}` }, body });
      await attempt("read", "/v1/status", {});
      return out;
    },
    [weir.origin, kToken],
  );
  assert.equal(tried.token, "refused");
  assert.equal(tried.read, "refused");
  assert.equal((await weir.backend("web", "web1")).admin, "enabled");
  await context.close();
  server.close();
});

test("who opens the page without the token sees no client and changes nothing", async () => {
  const page = await browser.open(weir.origin, { hash: "#/sessions" });
  await page.getByRole("button", { name: "Enter the token" }).waitFor();
  const answers = await page.evaluate(async () => {
    const status = async (url, options) => (await fetch(url, options)).status;
    return [
      await status("/v1/sessions"),
      await status("/v1/backends/web/web1/drain", { method: "POST", body: "{}" }),
      await status("/v1/sessions", { headers: { Authorization: "Bearer wrong" } }),
    ];
  });
  assert.deepEqual(answers, [401, 401, 401]);
  assert.equal((await weir.backend("web", "web1")).admin, "enabled");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a daemon that goes away is said to be away, and is there again when it is", async () => {
  const page = await browser.open(weir.origin);
  await page.locator(".link.live").waitFor();
  await weir.end("SIGKILL");
  await page.locator("p.gone").waitFor();
  assert.match(await page.locator("p.gone").innerText(), /has not answered since/);
  assert.ok((await page.locator(".pools .c-name a").count()) > 0, "what is known stays in view");
  await pause(200);
  await weir.start();
  await page.locator(".link.live").waitFor();
  await page.locator("p.gone").waitFor({ state: "detached" });
  const { pid } = await weir.status();
  await page.locator(".foot", { hasText: `process ${pid}` }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
