/// <reference lib="dom" />
import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";

const PLACES = [
  process.env["SLUICE_CHROMIUM"] ?? "",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** A browser that is installed here; null where there is none. */
export function installedChromium(): string | null {
  return PLACES.find((place) => place !== "" && existsSync(place)) ?? null;
}

/** Why the tests are skipped, or false. Where SLUICE_REQUIRE_BROWSER is set, as in CI, nothing is skipped. */
export function noBrowser(): string | false {
  if (installedChromium() !== null || process.env["SLUICE_REQUIRE_BROWSER"] !== undefined) return false;
  return "no Chromium is installed here (apt-get install chromium, or SLUICE_CHROMIUM=/path/to/one)";
}

export function launch(): Promise<Browser> {
  const executablePath = installedChromium();
  if (executablePath === null) throw new Error("Expected a Chromium, found none: apt-get install chromium.");
  // A container's root may not make a sandbox of its own.
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe calls serious or critical, as text. */
export async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    interface Found {
      readonly id: string;
      readonly impact: string;
      readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
    }
    const axe = (globalThis as unknown as { axe: { run: () => Promise<{ violations: readonly Found[] }> } }).axe;
    const { violations } = await axe.run();
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .flatMap(({ id, nodes }) =>
        nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`),
      );
  });
}

/** Where the screenshots lie that a person looks at: CI keeps them. */
export async function pictureFolder(): Promise<string> {
  const folder = join(process.cwd(), ".build", "web");
  await mkdir(folder, { recursive: true });
  return folder;
}
