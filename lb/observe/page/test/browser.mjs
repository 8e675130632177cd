// Debian's Chromium, and what every page in it must keep to.
import { existsSync, mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { kPatience } from "./rig.mjs";

export const kChromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync) ?? "";
export const kSizes = { phone: [360, 740], laptop: [1280, 800], large: [2560, 1440] };

const axe = readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export class Browser {
  static async start() {
    const out = new Browser();
    const root = process.getuid() === 0 ? ["--no-sandbox"] : [];
    out.browser = await chromium.launch({ executablePath: kChromium, args: ["--disable-dev-shm-usage", ...root], timeout: kPatience });
    return out;
  }
  /**
   * A page on `origin`. What it asks elsewhere, what it writes to the console as an error (a breach of its policy among
   * them), and what it throws is in `page.faults`; lost connections are none.
   */
  async open(origin, { size = "laptop", scheme = "light", token = "", hash = "#/" } = {}) {
    const [width, height] = kSizes[size];
    // Its own policy keeps the checks of axe out: they go past it by the debugger's door.
    const context = await this.browser.newContext({ viewport: { width, height }, colorScheme: scheme });
    context.setDefaultTimeout(kPatience);
    const page = await context.newPage();
    page.faults = [];
    page.on("pageerror", (error) => page.faults.push(String(error)));
    page.on("console", (message) => {
      const text = message.text();
      if (message.type() === "error" && !text.startsWith("Failed to load resource")) page.faults.push(text);
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(origin) && !request.url().startsWith("data:")) page.faults.push(`asks ${request.url()}`);
    });
    if (token) await page.addInitScript((text) => sessionStorage.setItem("weir-token", text), token);
    await page.goto(`${origin}/${hash}`);
    await page.locator("main h1").waitFor({ state: "attached" });
    return page;
  }
  async stop() {
    await this.browser.close();
  }
}

/** What axe has against it, a line each. */
export async function axeFindings(page) {
  await page.evaluate(`(() => { const module = undefined, define = undefined; ${await axe} })()`);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations.flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target.join(" ")}: ${node.failureSummary}`));
}

export async function picture(page, folder, name) {
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
