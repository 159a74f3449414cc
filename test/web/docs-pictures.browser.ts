/// <reference lib="dom" />
import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import sharp from "sharp";
import { launch, noBrowser } from "./chromium.js";
import { ConsoleSite } from "./console-site.js";

/** A data folder of the quickstart with two versions or more: `SLUICE_QUICKSTART=sluice-quickstart/data npm run test:web` */
const DATA = process.env["SLUICE_QUICKSTART"];
const skip = DATA === undefined ? "SLUICE_QUICKSTART names no data folder of the quickstart" : noBrowser();
const SIZE = { width: 1280, height: 800 } as const;

/** The pictures that README.md and docs/console.md show, made of the quickstart's images. */
test("every picture of the documents is made anew on the quickstart's data", { skip }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-pictures-"));
  const browser = await launch();
  const site = ConsoleSite.at(folder);
  try {
    await cp(DATA!, join(folder, "sluice-data"), { recursive: true });
    await site.serve();
    const page = await browser.newPage({ viewport: SIZE });
    page.setDefaultTimeout(60_000);
    const shown = async (name: string, path: string, isThere: string, before?: () => Promise<void>): Promise<void> => {
      await page.goto(`http://localhost:${site.port}${path}`);
      await page.waitForSelector(isThere);
      await before?.();
      // Rows of classes get their pictures one after the other.
      await page.waitForFunction(
        () =>
          document.querySelector(".picture.coming, .bone, .thumbs:empty") === null &&
          [...document.images].every(({ complete }) => complete),
      );
      await page.mouse.move(0, 0);
      const png = await page.screenshot();
      await sharp(png)
        .webp({ quality: 82, effort: 6 })
        .toFile(join(process.cwd(), "docs", `console-${name}.webp`));
    };
    await shown("classes", "/classes", ".share .spark");
    await shown("wall", "/class/3", ".tile img:not(.coming)", async () => {
      await page.waitForSelector("text=as of now");
      await page.click("text=Most doubtful");
      await page.waitForSelector(".cut");
    });
    const versions = (await site.told("versions", "list")) as { readonly versions: readonly { number: number }[] };
    const newest = versions.versions.at(-1)!.number;
    assert.ok(newest > 1, "two versions to compare");
    await shown("diff", `/diff?before=${newest - 1}&after=${newest}`, ".changed img");
    await shown("review", "/review?kind=doubtful", ".nine img");
    await shown("flow", "/flow", ".kept");
    await shown("models", "/models", ".lineage a");
  } finally {
    await site.stop();
    await browser.close();
    await rm(folder, { recursive: true, force: true });
  }
});
