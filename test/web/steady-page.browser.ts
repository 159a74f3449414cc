/// <reference lib="dom" />
import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, BrowserContext, Page, Request } from "playwright-core";
import type { Flow } from "../../schemas/api/flow.js";
import type { Review } from "../../schemas/api/images.js";
import type { ClassPage } from "../../schemas/api/versions.js";
import type { Wall } from "../../schemas/api/whatif.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { RunRecord } from "../../schemas/run-record.js";
import { launch, noBrowser } from "./chromium.js";
import { ConsoleSite } from "./console-site.js";

const TOKEN = { SLUICE_SERVE_TOKEN: "sixteen-letters-and-more" };

/** What happens while a page is open: lists change beneath it, answers fail, the server goes and comes, others look too. */
describe("a page that stays open", { skip: noBrowser() }, () => {
  let site: ConsoleSite;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  const at = (path: string): string => `http://localhost:${site.port}${path}`;

  before(async () => {
    browser = await launch();
    site = await ConsoleSite.make(60);
    for (const rows of ["#1:1-2", "#2:1-2"]) {
      assert.equal((await site.sluice(["label", "not", rows.slice(0, 2), "--rows", rows, "--by", "carl"])).code, 0);
      assert.equal((await site.sluice(["rebuild"])).code, 0);
    }
    await site.serve();
    context = await browser.newContext({ viewport: { width: 1280, height: 800 }, timezoneId: "Asia/Kolkata" });
    page = await opened();
  });

  after(async () => {
    await browser.close();
    await site.remove();
  });

  async function opened(): Promise<Page> {
    const made = await context.newPage();
    made.setDefaultTimeout(60_000);
    return made;
  }

  /** The paths of requests from now on that a test is about */
  function requestsOf(of: Page, part: string): string[] {
    const paths: string[] = [];
    of.on("request", (request: Request) => {
      const { pathname, search } = new URL(request.url());
      if (pathname.includes(part)) paths.push(`${pathname}${search}`);
    });
    return paths;
  }

  /** The page takes itself for one that nobody sees, or that somebody does. */
  const look = (of: Page, state: "hidden" | "visible"): Promise<void> =>
    of.evaluate((now) => {
      Object.defineProperty(document, "visibilityState", { value: now, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state);

  const focusedImage = (): Promise<{ place: number; sha256: string } | null> =>
    page.evaluate(() => {
      const tile = document.querySelector(".tile.focus");
      const sha256 = /images\/(\w+)\//.exec(tile?.querySelector("img")?.src ?? "")?.[1];
      return tile === null || sha256 === undefined ? null : { place: Number(tile.id.slice(6)), sha256 };
    });

  const saidByOthers = async (sha256: string): Promise<void> => {
    const wall = await site.settled<Wall>("/api/datasets/flowers/classes/5/wall?limit=1");
    const body = { verdict: "not", class: wall.label, sha256: [sha256], by: "dora" };
    const answered = await site.call("/api/labels", { method: "POST", body });
    assert.equal(answered.status, 200, answered.bytes.toString());
  };

  test("asks once for a list that fails, shows the older one with why, and asks again when told to", async () => {
    await page.goto(at("/classes"));
    await page.waitForSelector(".class-row");
    const asked = requestsOf(page, "/classes");
    const refusal = { error: { code: "E_VERSION_MISSING", message: "Version 1 was deleted meanwhile." } };
    await page.route("**/latest/classes?**", (route) => route.fulfill({ status: 404, json: refusal }));
    assert.equal((await site.sluice(["label", "not", "#3", "--rows", "#3:1", "--by", "carl"])).code, 0);
    await page.waitForSelector(".outdated >> text=Version 1 was deleted meanwhile.");
    assert.ok((await page.$$(".class-row")).length > 0, "the older list stays");
    await page.waitForTimeout(500);
    // One for each change that the label makes: some, where there were hundreds.
    const failing = asked.filter((path) => path.includes("/latest/classes?")).length;
    assert.ok(failing >= 1 && failing < 10, `${failing} requests`);
    await page.unrouteAll({ behavior: "wait" });
    await page.click("text=Try again");
    await page.waitForSelector(".outdated", { state: "detached" });
  });

  test("asks for the list of the address that is shown, whatever an older one waited for", async () => {
    const pending = { what: "reading", done: 1, of: null };
    await page.route("**/latest/classes?order=starving**", async (route) => {
      const answered = await route.fetch();
      await route.fulfill({ json: { ...((await answered.json()) as ClassPage), pending } });
    });
    await page.goto(at("/classes?order=starving"));
    await page.waitForSelector(".class-row");
    const asked = requestsOf(page, "/latest/classes");
    await page.selectOption("[aria-label=Order]", "number");
    await page.waitForURL(/order=number/);
    await page.waitForFunction(() => document.querySelector(".class-row .fine")?.textContent === "#0");
    const from = asked.findIndex((path) => path.includes("order=number"));
    await page.waitForTimeout(500);
    assert.deepEqual(
      asked.slice(from).filter((path) => !path.includes("order=number")),
      [],
    );
    await page.unrouteAll({ behavior: "wait" });
  });

  test("keeps the version that is looked at while one searches its classes", async () => {
    await page.goto(at("/classes?version=1"));
    await page.waitForSelector("text=version 1");
    await page.fill("[aria-label='Search classes']", "1");
    await page.waitForURL(/search=1/);
    assert.match(page.url(), /version=1/);
    await page.waitForSelector('.facts a:text-is("version 1")');
  });

  test("follows the image that is looked at on a wall, and takes no key for another one that took its place", async () => {
    await page.goto(at("/class/5"));
    await page.waitForSelector(".tile img:not(.coming)");
    await page.focus(".ranked");
    for (let step = 0; step < 3; step++) await page.keyboard.press("ArrowRight");
    await page.waitForFunction(() => document.querySelector(".tile.focus")?.id === "place-3");
    const held = (await focusedImage())!;
    const { rows } = await site.settled<Wall>("/api/datasets/flowers/classes/5/wall?limit=5");
    assert.equal(rows[3]!.row.sha256, held.sha256);
    await saidByOthers(rows[0]!.row.sha256);
    await page.waitForFunction(() => document.querySelector(".tile.focus")?.id === "place-2");
    assert.deepEqual(await focusedImage(), { place: 2, sha256: held.sha256 });

    await saidByOthers(held.sha256);
    await page.waitForSelector(`.tile img[src*="${held.sha256}"]`, { state: "detached" });
    await page.keyboard.press("2");
    await page.waitForSelector("text=has left this place");
    const by = async (): Promise<string[]> =>
      ((await site.told("label", "list")) as { readonly labels: readonly { by: string }[] }).labels.map(
        (one) => one.by,
      );
    assert.equal((await by()).includes("anna"), false);
    const next = (await focusedImage())!;
    await page.keyboard.press("2");
    await page.waitForSelector("text=The next one moves up");
    await page.waitForSelector(`.tile img[src*="${next.sha256}"]`, { state: "detached" });
    await page.waitForFunction(() => document.querySelector(".tile.focus")?.id === "place-2");
    assert.equal((await by()).at(-1), "anna");
    await page.keyboard.press("u");
    await page.waitForSelector(`.tile.focus img[src*="${next.sha256}"]`);
  });

  test("keeps the image of a review before one's eyes when the queue changes beneath it; no key passes a box", async () => {
    let drop = 0;
    await page.route("**/api/review/doubtful?**", async (route) => {
      const review = (await (await route.fetch()).json()) as Review;
      await route.fulfill({ json: { ...review, items: review.items.slice(drop) } });
    });
    await page.goto(at("/review?kind=doubtful"));
    await page.waitForSelector(".one img:not(.coming)");
    await page.focus("main");
    await page.keyboard.press("ArrowRight");
    await page.waitForSelector(".steps :text('2 of')");
    const source = await page.getAttribute(".one img", "src");
    const sha256 = /images\/(\w+)\//.exec(source!)![1]!;
    const changed = async (text: string): Promise<void> => {
      assert.equal((await site.sluice(["label", "not", "#7", "--rows", `#7:${drop}`, "--by", "carl"])).code, 0);
      await page.waitForSelector(text);
      assert.equal(await page.getAttribute(".one img", "src"), source);
    };
    drop = 1;
    await changed(".steps :text('1 of')");
    drop = 2;
    await changed("text=no longer in this queue");

    await page.keyboard.press("Control+k");
    await page.waitForSelector(".palette input");
    for (let tab = 0; tab < 4; tab++) await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement?.closest(".palette") !== null), true);
    await page.keyboard.press("Escape");
    await page.focus("main");
    await page.keyboard.press("3");
    await page.waitForSelector("text=It is of no class.");
    const { labels } = (await site.told("label", "list")) as { readonly labels: readonly { sha256: string }[] };
    assert.equal(labels.at(-1)!.sha256, sha256);
    await page.keyboard.press("u");
    await page.waitForSelector("text=Taken back");
    await page.unrouteAll({ behavior: "wait" });
  });

  test("does by Ctrl-K what it says first, and no more: pause, resume, retry", async () => {
    await page.goto(at("/versions"));
    await page.waitForSelector("td a");
    const choose = async (text: string): Promise<void> => {
      await page.keyboard.press("Control+k");
      await page.fill(".palette input", text);
      await page.waitForSelector(".palette li:has-text('do')");
      await page.keyboard.press("Enter");
      await page.waitForSelector("[role=alertdialog]");
    };
    await choose("pause");
    await page.keyboard.press("Escape");
    assert.equal(((await site.get("/api/flow")) as Flow).now.control, null);
    await choose("pause");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".now:has-text('Paused by anna')");
    await choose("resume");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".now:not(.wrong):has-text('window: all that came')");
    await choose("publish");
    await page.waitForSelector("[role=alertdialog] >> text=/About .* of 10 classes full/");
    await page.keyboard.press("Escape");
    const refused = (await site.get("/api/review/quarantine?dataset=flowers")) as Review;
    await choose("retry");
    await page.waitForSelector(`[role=alertdialog] >> text=${refused.total} records will be taken up again`);
    await page.keyboard.press("Escape");
  });

  test("draws how a version's scores lie, by figures that its manifest has", async () => {
    await page.goto(at("/version/flowers/1"));
    await page.waitForFunction(() => document.querySelectorAll(".plotted svg path").length >= 2);
    const { classes } = (await site.told("versions", "show", "1")) as Manifest;
    const lowest = classes.toSorted((a, b) => (a.worst ?? 1) - (b.worst ?? 1))[0]!;
    assert.equal(await page.inputValue(".distributions select"), lowest.label);
    await page.waitForSelector(
      `.distributions >> text=From ${lowest.best!.toFixed(3)} down to ${lowest.worst!.toFixed(3)}`,
    );
    assert.equal(await page.$$eval(".plotted style", (styles) => styles.length), 0, "no style that the page refuses");
  });

  test("keeps Tab within a box that asks for a confirmation", async () => {
    await page.goto(at("/flow"));
    await page.click("text=Drain …");
    await page.waitForSelector("[role=alertdialog]");
    const reached: string[] = [];
    for (let tab = 0; tab < 4; tab++) {
      reached.push(await page.evaluate(() => document.activeElement?.textContent ?? ""));
      await page.keyboard.press("Tab");
    }
    assert.deepEqual(reached, ["Drain", "Leave it", "Drain", "Leave it"]);
    await page.keyboard.press("Escape");
    await page.waitForSelector("[role=alertdialog]", { state: "detached" });
  });

  test("asks what another K would give no longer than somebody looks", async () => {
    const pending = { answer: null, pending: { what: "reading", done: 1, of: null }, refused: null };
    await page.route("**/whatif?**", (route) => route.fulfill({ json: pending }));
    await page.goto(at("/class/5"));
    await page.waitForSelector("text=as of now");
    await page.fill("[aria-label='K: images a class']", "4");
    await page.keyboard.press("Tab");
    await page.waitForSelector("text=reading: 1 segments");
    await page.click(".rail >> text=Versions");
    await page.waitForSelector("td a");
    const asked = requestsOf(page, "/whatif");
    await page.waitForTimeout(800);
    assert.deepEqual(asked, []);
    await page.unrouteAll({ behavior: "wait" });
  });

  test("says of a run that was killed that it stopped, lists the store every minute, and writes times in UTC", async () => {
    const path = join(site.folder, "sluice-data", "stages", "last-run.json");
    const ended = await readFile(path, "utf8");
    const run = JSON.parse(ended) as RunRecord;
    const queue = { items: 9, places: 4, full: 0.4 };
    const queues = { fetch: queue, decode: queue, score: queue, archive: queue };
    await writeFile(path, JSON.stringify({ ...run, ended: false, queues }));
    const drawn = await opened();
    await drawn.addInitScript(() => {
      const texts: string[] = [];
      Object.assign(window, { texts });
      const { value: own } = Object.getOwnPropertyDescriptor(CanvasRenderingContext2D.prototype, "fillText") as {
        readonly value: (text: string, ...place: readonly number[]) => void;
      };
      CanvasRenderingContext2D.prototype.fillText = function (text: string, ...place: readonly number[]) {
        texts.push(text);
        own.call(this, text, ...place);
      };
    });
    await drawn.route("**/api/flow", async (route) => {
      const flow = (await (await route.fetch()).json()) as Flow;
      const { atMs } = flow.now;
      await route.fulfill({ json: { ...flow, history: [60, 40, 20].map((s) => [atMs - s * 1000, 3]) } });
    });
    const listed = requestsOf(drawn, "/api/storage");
    await drawn.clock.install();
    await drawn.goto(at("/flow"));
    await drawn.waitForSelector("text=/stopped without an end/");
    await drawn.waitForSelector(".stage >> text=/5 waiting, full 40.0/");
    await drawn.clock.runFor(1000);
    await drawn.waitForFunction(() =>
      (window as unknown as { texts: string[] }).texts.some((text) => /\d:\d\d/.test(text)),
    );
    const texts = await drawn.evaluate(() => (window as unknown as { texts: string[] }).texts);
    // Minutes of Kolkata lie half an hour off, and its hours five more.
    const now = new Date();
    const hours = [now.getUTCHours(), (now.getUTCHours() + 23) % 24].map(
      (hour) => `${hour % 12 === 0 ? 12 : hour % 12}:`,
    );
    const times = texts.filter((text) => /^\d+:\d\d/.test(text));
    assert.ok(
      times.every((text) => hours.some((hour) => text.startsWith(hour))),
      `${times.join(" ")} at ${now.toISOString()}`,
    );
    const before = listed.length;
    await drawn.clock.runFor(130_000);
    await drawn.waitForFunction(() => true);
    assert.ok(listed.length >= before + 2, `${listed.length - before} lists of the store in two minutes`);
    await drawn.unrouteAll({ behavior: "wait" });
    await drawn.close();
    await writeFile(path, ended);
  });

  test("holds no connection that nobody looks at: the seventh page stands as the first does", async () => {
    const pages: Page[] = [];
    for (let count = 0; count < 6; count++) {
      const one = await opened();
      pages.push(one);
      await one.goto(at("/flow"));
      await one.waitForSelector("text=/records archived/");
      await look(one, "hidden");
    }
    const seventh = await opened();
    await seventh.goto(at("/class/5"));
    await seventh.waitForSelector(".tile img:not(.coming)");
    // A page that is looked at again shows what people said meanwhile.
    const first = pages[0]!;
    const asked = requestsOf(first, "/api/overview");
    await look(first, "visible");
    await first.waitForFunction(() => document.querySelector("main.old") === null);
    while (asked.length === 0) await first.waitForTimeout(20);
    for (const one of [...pages, seventh]) await one.close();
  });

  test("greys what it knew while the server is away, says its age, and asks for pictures again when it is back", async () => {
    await page.goto(at("/class/5"));
    await page.waitForSelector(".tile img:not(.coming)");
    const { port } = site;
    await site.stop();
    await page.waitForSelector("main.old");
    const age = await page.waitForFunction(
      () => /was (\d+) s ago/.exec(document.querySelector(".now")?.textContent ?? "")?.[1],
    );
    const first = Number(await age.jsonValue());
    await page.waitForFunction(
      (had) => Number(/was (\d+) s ago/.exec(document.querySelector(".now")?.textContent ?? "")?.[1]) > had,
      first,
    );
    // Larger ones are asked for now, and do not come.
    await page.fill(".size input", "192");
    await page.waitForSelector(".tile .picture.gone");
    await site.serve(["--port", String(port)]);
    await page.waitForSelector("main:not(.old)");
    await page.waitForSelector(".tile .picture.gone", { state: "detached" });
    await page.fill(".size input", "96");
  });

  test("says that a token is wanted where the server that came back has another one", async () => {
    const { port } = site;
    await site.stop();
    await site.serve(["--port", String(port)], TOKEN);
    await page.waitForSelector(".now:text('Expected the token that the server was started with')");
    await page.goto(at(`/flow?token=${TOKEN.SLUICE_SERVE_TOKEN}`));
    await page.waitForSelector("main:not(.old)");
    await site.stop();
    await site.serve(["--port", String(port)]);
  });

  test("compares a version with the one before it that is there", async () => {
    const { versions } = (await site.told("versions", "list")) as { readonly versions: readonly { number: number }[] };
    const last = versions.at(-1)!.number;
    await rm(join(site.folder, "sluice-data", "store", "versions", "flowers", String(last - 1)), { recursive: true });
    await site.stop();
    await site.serve();
    await page.goto(at("/versions"));
    await page.click("tbody tr:first-child >> text=what changed");
    await page.waitForSelector(".diff-classes");
    assert.equal(await page.inputValue("[aria-label='Earlier version']"), String(last - 2));
    await page.goto(at("/diff"));
    await page.waitForSelector(".diff-classes");
    assert.equal(await page.inputValue("[aria-label='Earlier version']"), String(last - 2));
    await page.goto(at(`/version/flowers/${last}`));
    await page.waitForSelector(`text=version ${last - 1}, deleted since`);
    await page.click("text=What changed");
    await page.waitForSelector(".diff-classes");
  });
});
