// How it looks: pictures are left in the build folder; nothing is wider than the window; axe finds nothing.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Browser, axeFindings, kSizes, picture } from "./browser.mjs";
import { Backend, Weir, eventually, kToken } from "./rig.mjs";

const kPictures = process.env.WEIR_PICTURES;
let browser, weir, servers;

before(async () => {
  browser = await Browser.start();
  servers = [];
  for (let i = 0; i < 5; ++i) servers.push(await Backend.start());
  const members = (name, list) => list.map((server, i) => ({ name: `${name}${i + 1}`, address: `127.0.0.1:${server.port}` }));
  weir = new Weir(process.env.WEIR, {
    web: { balance: "least_connections", backends: members("web", servers.slice(0, 4)) },
    database: { balance: "first", backends: members("db", servers.slice(0, 2)) },
    mail: { balance: "source_hash", backends: members("mail", servers.slice(4)) },
  });
  await weir.start();
  for (let i = 0; i < 24; ++i) await weir.client();
  await servers[3].stop();
  await servers[4].stop();
  await weir.ask("POST", "/v1/backends/web/web2/drain", { comment: "new kernel" });
  await weir.ask("POST", "/v1/backends/database/db2/weight", { weight: 4 });
  await eventually("mail is down", async () => (await weir.status()).pools[2].verdict === "down");
});
after(async () => {
  await weir?.stop();
  for (const server of servers?.slice(0, 3) ?? []) await server.stop();
  await browser?.stop();
});

const kPages = {
  overview: "#/",
  pool: "#/pool/web",
  backend: "#/pool/web/web1",
  sessions: "#/sessions",
  explain: "#/explain?where=pool%3Aweb&client=203.0.113.9",
  events: "#/events",
};

async function settled(page, name) {
  await page.locator(".link.live").waitFor();
  if (name === "pool" || name === "backend") await page.locator(".chart canvas").nth(4).waitFor();
  if (name === "sessions") await page.locator(".sessions .body .row").first().waitFor();
  if (name === "explain") await page.locator("#answer").waitFor();
}

for (const scheme of ["light", "dark"])
  test(`in ${scheme}, every page fits the window, and axe finds nothing`, async () => {
    for (const size of Object.keys(kSizes)) {
      const page = await browser.open(weir.origin, { size, scheme, token: kToken });
      for (const [name, hash] of Object.entries(kPages)) {
        const pictured = name === "overview" || name === "pool";
        if (size === "large" && !pictured) continue;
        await page.goto(`${weir.origin}/${hash}`);
        await settled(page, name);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(over <= 0, `${name} at ${size} is ${over} px too wide`);
        if (pictured) await picture(page, kPictures, `${name}-${size}-${scheme}`);
        if (size !== "large") assert.deepEqual(await axeFindings(page), [], `${name} at ${size}`);
      }
      if (size !== "large") {
        await page.goto(`${weir.origin}/#/pool/web/web1`);
        await page.getByRole("button", { name: "Drain web/web1" }).click();
        await page.locator("dialog[open]").waitFor();
        await page.getByLabel("are closed with a reset").check();
        assert.deepEqual(await axeFindings(page), [], `the dialog at ${size}`);
        await picture(page, kPictures, `drain-${size}-${scheme}`);
      }
      assert.deepEqual(page.faults, []);
      await page.context().close();
    }
  });
