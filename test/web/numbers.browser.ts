/// <reference lib="dom" />
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import type { Diff } from "../../schemas/api/versions.js";
import type { Manifest } from "../../schemas/manifest.js";
import { launch, noBrowser } from "./chromium.js";
import { ConsoleSite } from "./console-site.js";

const text = (value: number): string => value.toLocaleString("en");

describe("every number on a screen is what a command prints with --json", { skip: noBrowser() }, () => {
  let site: ConsoleSite;
  let browser: Browser;
  let page: Page;

  before(async () => {
    browser = await launch();
    site = await ConsoleSite.make(240);
    assert.equal((await site.sluice(["label", "not", "#1", "--rows", "#1:1-2", "--by", "carl"])).code, 0);
    assert.equal((await site.sluice(["rebuild"])).code, 0);
    await site.serve();
    page = await browser.newPage({ viewport: { width: 1280, height: 1400 } });
    page.setDefaultTimeout(15_000);
  });

  after(async () => {
    await browser.close();
    await site.remove();
  });

  /** The text of a screen, once `shows` is there */
  async function shown(path: string, shows: string): Promise<string> {
    await page.goto(`http://localhost:${site.port}${path}`);
    await page.waitForSelector(shows);
    await page.waitForFunction(() => document.querySelector("[role=status][aria-label]") === null);
    return (await page.innerText("main")).replace(/\s+/g, " ");
  }

  const has = (screen: string, ...parts: readonly string[]): void => {
    for (const part of parts) assert.ok(screen.includes(part), `expected "${part}" in: ${screen.slice(0, 3000)}`);
  };

  test("on the flow: status, with the storage", async () => {
    const status = (await site.told("status", "--storage")) as {
      readonly teachers: readonly {
        readonly frontier: readonly { readonly origin: number; readonly end: number }[];
        readonly quarantined: Readonly<Record<string, number>>;
        readonly datasets: readonly {
          readonly fill: { readonly full: number; readonly classes: number };
          readonly trigger: { readonly why: string };
          readonly records: { readonly in: number; readonly scored: number; readonly copied: number };
        }[];
      }[];
      readonly storage: { readonly all: { readonly objects: number } };
    };
    const [teacher] = status.teachers;
    const [dataset] = teacher!.datasets;
    const archived = teacher!.frontier.reduce((sum, { origin, end }) => sum + end - origin, 0);
    const screen = await shown("/flow", ".kept");
    has(
      screen,
      `${text(archived)} records archived`,
      `${text(dataset!.fill.full)} of ${text(dataset!.fill.classes)} classes full`,
      dataset!.trigger.why,
      `${text(dataset!.records.in)} in = ${text(dataset!.records.scored)} scored + ${text(dataset!.records.copied)} copied`,
      `in ${text(status.storage.all.objects)} objects`,
      ...Object.entries(teacher!.quarantined).map(([code, count]) => `${code} ${text(count)}`),
    );
  });

  test("on versions, a version and its classes: versions list and show", async () => {
    const manifest = (await site.told("versions", "show", "latest")) as Manifest;
    const { versions } = (await site.told("versions", "list")) as {
      readonly versions: readonly { readonly number: number; readonly rows: number; readonly images: number }[];
    };
    const list = await shown("/versions", "td a");
    for (const { number, rows, images } of versions) {
      has(list, `flowers/${number}`);
      assert.match(list, new RegExp(`flowers/${number} .{12,16} ${text(rows)} ${text(images)} `));
    }
    const { records } = manifest.totals;
    has(
      await shown(`/version/flowers/${manifest.number}`, ".facts-list"),
      `${text(manifest.totals.rows)} rows of ${text(manifest.totals.images)} images`,
      manifest.id,
      `${text(records.in)} records in = ${text(records.scored)} scored + ${text(records.copied)} copied + ${text(records.quarantined)} quarantined + ${text(records.lost)} lost`,
    );
    const classes = await shown("/classes?order=number", ".class-row");
    const full = manifest.classes.filter(({ starving }) => !starving).length;
    has(classes, `${full} of ${manifest.classes.length} classes full`);
    for (const one of manifest.classes) {
      has(
        classes,
        `${one.label} #${one.class} ${text(one.count - one.repeated)} of ${text(one.k)} ${one.worst!.toFixed(3)}`,
      );
    }
  });

  test("on a diff, a what-if, models and the review: versions diff, whatif, status and label list", async () => {
    const diff = (await site.told("versions", "diff", "1", "2")) as {
      readonly totals: { readonly added: number; readonly removed: number; readonly moved: number };
    };
    const compared = await shown("/diff?before=1&after=2", ".changed img");
    has(compared, `+${text(diff.totals.added)}`, `−${text(diff.totals.removed)}`, `${text(diff.totals.moved)} moved`);
    const { answers } = (await site.told("whatif", "--k", "4")) as {
      readonly answers: readonly { readonly rows: number; readonly full: number; readonly classes: number }[];
    };
    const [answer] = answers;
    has(await shown("/whatif?k=4", ".panels canvas"), text(answer!.rows), `${answer!.full} of ${answer!.classes}`);
    const status = (await site.told("status")) as {
      readonly teachers: readonly {
        readonly digest: string;
        readonly frontier: readonly { origin: number; end: number }[];
      }[];
    };
    const { digest, frontier } = status.teachers[0]!;
    const archived = frontier.reduce((sum, { origin, end }) => sum + end - origin, 0);
    has(await shown("/models", ".lineage a"), digest, `${text(archived)} records of images`);
    const { count, byCode } = (await site.told("quarantine", "list")) as {
      readonly count: number;
      readonly byCode: Readonly<Record<string, number>>;
    };
    has(
      await shown("/review?kind=quarantine", ".refused li"),
      `all ${text(count)}`,
      ...Object.entries(byCode).map(([code, refused]) => `${code} ${text(refused)}`),
    );
  });

  test("of a reason in a diff: its images are as many as versions diff counts, and a class's link has its name", async () => {
    const diff = (await site.told("versions", "diff", "1", "2")) as Pick<Diff, "classes">;
    const { label, reasons } = diff.classes.find(({ reasons: { left } }) => left.length > 0)!;
    await page.goto(`http://localhost:${site.port}/diff?before=1&after=2&label=${encodeURIComponent(label)}`);
    for (const { reason, count } of reasons.left) {
      await page.click(`[aria-label^="Left"] .chip >> nth=${reasons.left.findIndex((one) => one.reason === reason)}`);
      await page.waitForURL(new RegExp(`reason=${reason}`));
      await page.waitForFunction(
        (wanted) => document.querySelectorAll("[aria-label^=Left] .changed li").length === wanted,
        count,
      );
      const others = reasons.entered.find((one) => one.reason === reason)?.count ?? 0;
      assert.equal(await page.locator("[aria-label^=Entered] .changed li").count(), others);
      await page.click("[aria-label^=Left] .chip[aria-pressed=true]");
      await page.waitForURL((url) => !url.searchParams.has("reason"));
    }
    await page.goto(`http://localhost:${site.port}/classes?order=number`);
    await page.click(`.class-row:has-text("${label}")`);
    await page.waitForURL(`**/class/${encodeURIComponent(`name:${label}`)}**`);
    await page.waitForSelector(`h1 :text-is("${label}")`);
  });

  test("on a class's wall and in the life of an image: versions show, explain and whatif", async () => {
    const manifest = (await site.told("versions", "show", "latest")) as Manifest;
    const one = manifest.classes[2]!;
    const wall = await shown("/class/2", ".tile img:not(.coming)");
    has(wall, `${text(one.count)} of ${text(one.k)}`, `cut-off ${one.worst!.toFixed(3)}`, `${text(one.count)} kept`);
    const { rows } = (await site.get("/api/versions/flowers/latest/classes/2/rows")) as {
      readonly rows: readonly { readonly sha256: string }[];
    };
    const life = (await site.told("versions", "explain", rows[0]!.sha256)) as {
      readonly fates: readonly { readonly number: number; readonly label: string; readonly because: string }[];
      readonly sightings: readonly {
        readonly offset: number;
        readonly scores: readonly { readonly label: string; readonly probability: number }[];
      }[];
    };
    const screen = await shown(`/image/${rows[0]!.sha256}`, ".fates");
    has(
      screen,
      ...life.fates.flatMap(({ number, label, because }) => [`flowers/${number}`, label, because]),
      ...life.sightings.flatMap(({ offset, scores }) => [
        `offset ${offset}`,
        ...scores.map(({ label, probability }) => `${label} ${(100 * probability).toFixed(1)} %`),
      ]),
    );
  });
});
