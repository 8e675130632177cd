// A pool of 1,000 backends.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Browser } from "./browser.mjs";
import { Backend, Weir, eventually } from "./rig.mjs";

const kMany = 1000;
const kFew = 100;
let browser, weir, server;

before(async () => {
  browser = await Browser.start();
  server = await Backend.start();
  const members = (n) => Array.from({ length: n }, (_, i) => ({ name: `b${i + 1}`, address: `127.1.${i >> 8}.${i & 255}:${server.port}` }));
  weir = new Weir(process.env.WEIR, {
    many: { probe: "none", backends: members(kMany) },
    few: { probe: "none", backends: members(kFew) },
  });
  await weir.start();
});
after(async () => {
  await weir?.stop();
  await server?.stop();
  await browser?.stop();
});

/** Scrolls down and up again while statuses come in; the times between frames, sorted. */
function scrolled(page) {
  return page.evaluate(async () => {
    const frames = [];
    const steps = 45;
    const pixels = 50;
    let last = performance.now();
    for (let i = 0; i <= 2 * steps; ++i) {
      scrollTo(0, pixels * (i <= steps ? i : 2 * steps - i));
      await new Promise((done) => requestAnimationFrame(done));
      const now = performance.now();
      frames.push(now - last);
      last = now;
    }
    return frames.sort((a, b) => a - b);
  });
}
const median = (sorted) => sorted[Math.floor(sorted.length / 2)];

test("1,000 backends are scrolled through as 100 are, and all are there", async () => {
  const page = await browser.open(weir.origin, { hash: "#/pool/few" });
  await page.locator(".chart canvas").first().waitFor();
  await page.locator(".backends .body .row").first().waitFor();
  const few = await scrolled(page);
  await page.goto(`${weir.origin}/#/pool/many`);
  await page.locator("main h1", { hasText: "many" }).waitFor();
  assert.equal(await page.locator(".backends").getAttribute("aria-rowcount"), String(kMany + 1));
  const many = await scrolled(page);
  console.log(`frames, median and longest: few ${median(few).toFixed(1)} ${few.at(-1).toFixed(1)} ms, many ${median(many).toFixed(1)} ${many.at(-1).toFixed(1)} ms`);
  assert.ok(median(many) <= 3 * median(few) + 1, `${median(many)} ms a frame for ${median(few)} ms`);
  // What is in the document is what is in sight.
  assert.ok((await page.locator(".backends .body .row").count()) < 100);
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await page.locator(`.backends .row[aria-rowindex="${kMany + 1}"]`).waitFor();
  await page.evaluate(() => scrollTo(0, 0));
  await page.getByLabel("Filter backends").fill("b777");
  await eventually("the one that was looked for is found", async () =>
    (await page.locator(".backends .c-name a").allInnerTexts()).join() === "b777");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
