// What is changed from the page.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Browser } from "./browser.mjs";
import { Backend, Weir, eventually, kToken } from "./rig.mjs";

let browser, weir, servers;

before(async () => {
  browser = await Browser.start();
  servers = [await Backend.start(), await Backend.start()];
  weir = new Weir(process.env.WEIR, {
    web: { backends: servers.map((server, i) => ({ name: `web${i + 1}`, address: `127.0.0.1:${server.port}` })) },
  });
  await weir.start();
});
after(async () => {
  await weir?.stop();
  for (const server of servers ?? []) await server.stop();
  await browser?.stop();
});

const dialog = (page) => page.locator("dialog[open]");
const row = (page, name) => page.locator(`.backends .body .row:has(.c-name a:text-is("${name}"))`);
const admin = async (name) => (await weir.backend("web", name)).admin;
const is = (name, wanted) => eventually(`${name} is ${wanted}`, async () => (await admin(name)) === wanted);

test("a wrong token is refused with the daemon's words, and changes nothing; the right one is asked for once", async () => {
  const page = await browser.open(weir.origin, { hash: "#/pool/web/web1" });
  await page.getByRole("button", { name: "Drain web/web1" }).click();
  await dialog(page).getByLabel("Token").fill("wrong");
  await dialog(page).getByRole("button", { name: "Use it" }).click();
  await dialog(page).locator(".trouble", { hasText: "not the token" }).waitFor();
  assert.equal(await admin("web1"), "enabled");
  await dialog(page).getByLabel("Token").fill(kToken);
  await dialog(page).getByRole("button", { name: "Use it" }).click();
  // What was wanted goes on.
  await dialog(page).getByRole("heading", { name: "Drain web/web1" }).waitFor();
  await page.keyboard.press("Escape");
  await dialog(page).waitFor({ state: "detached" });
  assert.equal(await admin("web1"), "enabled");
  await page.reload();
  await page.getByRole("button", { name: "Weight of web/web1" }).click();
  await dialog(page).getByRole("heading", { name: "Weight of web/web1" }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a drain says what it will do, then how many sessions are left until there is none; enable takes it back", async () => {
  for (let i = 0; i < 6; ++i) await weir.client();
  const page = await browser.open(weir.origin, { hash: "#/pool/web", token: kToken });
  await eventually("the page has the sessions", async () => /\b3\b/.test(await row(page, "web1").locator(".c-active").innerText()));
  await row(page, "web1").getByRole("button", { name: "Drain" }).click();
  assert.match(await dialog(page).innerText(), /Its 3 sessions go on/);
  assert.match(await dialog(page).innerText(), /New clients go to the one backend left \(web2\)/);
  await dialog(page).getByLabel("Comment").fill("for a kernel");
  await dialog(page).getByRole("button", { name: "Drain", exact: true }).click();
  await dialog(page).locator(".big", { hasText: "Drained, 3 sessions left" }).waitFor();
  assert.equal(await admin("web1"), "drained");
  assert.equal((await weir.backend("web", "web1")).admin_word.comment, "for a kernel");
  assert.equal((await weir.backend("web", "web1")).active, 3);
  for (const client of weir.clients) client.destroy();
  await dialog(page).locator(".big", { hasText: "no session left" }).waitFor();
  await dialog(page).getByRole("button", { name: "Close" }).click();
  assert.match(await row(page, "web1").locator(".c-state").innerText(), /drained/);
  await row(page, "web1").getByRole("button", { name: "Enable" }).click();
  assert.match(await dialog(page).innerText(), /“for a kernel”/);
  await dialog(page).getByRole("button", { name: "Enable", exact: true }).click();
  await is("web1", "enabled");
  await page.locator(".toast p", { hasText: "web/web1: enabled" }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a drain with a deadline closes what is left, and says when", async () => {
  for (let i = 0; i < 2; ++i) await weir.client();
  const page = await browser.open(weir.origin, { hash: "#/pool/web/web1", token: kToken });
  await eventually("web1 has one", async () => (await weir.backend("web", "web1")).active === 1);
  await page.getByRole("button", { name: "Drain web/web1" }).click();
  await dialog(page).getByLabel("are closed with a reset").check();
  await dialog(page).getByLabel("after").fill("0.05");
  await dialog(page).getByLabel("spread over").fill("0");
  await dialog(page).getByRole("button", { name: "Drain", exact: true }).click();
  await dialog(page).locator(".big", { hasText: "no session left" }).waitFor();
  assert.equal((await weir.backend("web", "web1")).active, 0);
  await weir.ask("POST", "/v1/backends/web/web1/enable");
  for (const client of weir.clients) client.destroy();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("to drain the last eligible backend takes a second word", async () => {
  await weir.ask("POST", "/v1/backends/web/web1/drain");
  const page = await browser.open(weir.origin, { hash: "#/pool/web/web2", token: kToken });
  await page.getByRole("button", { name: "Drain web/web2" }).click();
  assert.match(await dialog(page).innerText(), /last eligible backend of web/);
  const submit = dialog(page).getByRole("button", { name: "Drain", exact: true });
  assert.ok(await submit.isDisabled());
  await dialog(page).getByLabel("Turn new clients away").check();
  await submit.click();
  await is("web2", "drained");
  for (const name of ["web1", "web2"]) await weir.ask("POST", `/v1/backends/web/${name}/enable`);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a weight says whose share it changes, and can be taken back", async () => {
  const page = await browser.open(weir.origin, { hash: "#/pool/web", token: kToken });
  await eventually("both serve", async () => (await page.locator(".backends .state.ok").count()) === 2);
  await row(page, "web2").getByRole("button", { name: "Weight" }).click();
  await dialog(page).getByLabel("Weight").fill("3");
  assert.match(await dialog(page).innerText(), /goes from 50 % to 75 %/);
  await dialog(page).getByRole("button", { name: "Set weight" }).click();
  await eventually("it is set", async () => (await weir.backend("web", "web2")).weight === 3);
  await row(page, "web2").locator(".c-weight", { hasText: "3 (1)" }).waitFor();
  await row(page, "web2").getByRole("button", { name: "Weight" }).click();
  await dialog(page).getByRole("button", { name: "Back to 1" }).click();
  await eventually("it is the file's", async () => (await weir.backend("web", "web2")).weight === 1);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("sessions are listed, and those that are chosen are killed", async () => {
  const clients = [await weir.client(), await weir.client(), await weir.client()];
  const page = await browser.open(weir.origin, { hash: "#/sessions?pool=web", token: kToken });
  await eventually("all are listed", async () => (await page.locator(".sessions .body .row").count()) === 3);
  const address = `127.0.0.1:${clients[1].localPort}`;
  await page.getByLabel(new RegExp(`of ${address}$`)).check();
  await page.getByRole("button", { name: "Kill chosen (1)" }).click();
  assert.match(await dialog(page).innerText(), /This session ends at once, with a reset/);
  await dialog(page).getByRole("button", { name: "Kill 1 session" }).click();
  await page.locator(".toast p", { hasText: "1 session killed" }).waitFor();
  await eventually("it is gone", async () => clients[1].destroyed && !clients[0].destroyed && !clients[2].destroyed);
  await eventually("two are listed", async () => (await page.locator(".sessions .body .row").count()) === 2);
  await page.getByRole("button", { name: "Kill all that match" }).click();
  await dialog(page).getByRole("button", { name: /^Kill 2 sessions$/ }).click();
  await eventually("all are gone", async () => clients.every((client) => client.destroyed));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("all of it can be done by keyboard", async () => {
  const page = await browser.open(weir.origin, { token: kToken });
  await page.locator(".pools .c-name a", { hasText: "web" }).focus();
  await page.keyboard.press("Enter");
  await page.locator("main h1", { hasText: "web" }).waitFor();
  await eventually("the heading has the focus", () => page.evaluate(() => document.activeElement?.tagName === "H1"));
  await page.keyboard.press("/");
  await page.keyboard.type("web2");
  await eventually("it is filtered", async () => (await page.locator(".backends .body .row").count()) === 1);
  // The row's link, Drain, Weight.
  await page.locator(".backends .c-name a").focus();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await dialog(page).getByRole("heading", { name: "Drain web/web2" }).waitFor();
  await page.keyboard.press("Escape");
  await dialog(page).waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Drain web/web2");
  assert.equal(await admin("web2"), "enabled");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
