// Builds the page into one file. The daemon lets exactly its script and its style run, by their hashes.
//   node build.mjs [FOLDER]     default: dist
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const kMostGzippedBytes = 120 * 1024;

async function bundle(entry) {
  const { outputFiles } = await build({
    absWorkingDir: here,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    target: "es2022",
    format: "iife",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "inline",
    charset: "utf8",
    logLevel: "warning",
  });
  return outputFiles[0].text.trim();
}

const hash = (text) => `'sha256-${createHash("sha256").update(text, "utf8").digest("base64")}'`;

/** { html, policy }: the file, and a Content-Security-Policy such as the daemon makes for it. */
export async function page() {
  const script = (await bundle("src/main.tsx")).replaceAll("</script", "<\\/script");
  const style = await bundle("src/style.css");
  const html = readFileSync(join(here, "src/index.html"), "utf8")
    .replace("/*style*/", () => style)
    .replace("/*script*/", () => script);
  const policy = [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(style)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  return { html, policy };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = resolve(process.argv[2] ?? join(here, "dist"));
  const { html } = await page();
  const gzipped = gzipSync(html, { level: 9 }).length;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "index.html"), html);
  console.log(`index.html: ${html.length} bytes, ${gzipped} gzipped`);
  if (gzipped > kMostGzippedBytes) {
    console.error(`index.html: over ${kMostGzippedBytes} bytes gzipped`);
    process.exit(1);
  }
}
