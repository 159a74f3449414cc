import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { openFolderSource } from "../../../connectors/source/folder.js";
import { itemsOf } from "../../conformance/source.js";

/** A folder, a log that takes its items, and a process that may die at any moment. */
class Bench {
  readonly #folder: string;
  readonly #listings: string;
  /** What the log holds: `path@version`, in order; with the cursor, as one transaction */
  readonly appended: string[] = [];
  #cursor: string | null = null;
  readonly #versions = new Map<string, number>();
  #clock = 1_000_000;

  private constructor(root: string) {
    this.#folder = join(root, "pictures");
    this.#listings = join(root, "listings");
  }

  static async with(task: (bench: Bench) => Promise<void>): Promise<void> {
    const root = await mkdtemp(join(tmpdir(), "sluice-listing-"));
    const bench = new Bench(root);
    await mkdir(bench.#folder);
    try {
      await task(bench);
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  }

  /** Adds a file, or gives it another content. */
  async put(path: string): Promise<void> {
    const file = join(this.#folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, path);
    this.#clock += 1;
    await utimes(file, this.#clock, this.#clock);
    this.#versions.set(path, this.#clock);
  }

  async remove(path: string): Promise<void> {
    await rm(join(this.#folder, path), { force: true });
    this.#versions.delete(path);
  }

  /** Appends in batches; dies after `dieAfter` batches, with up to `ahead` further items read and not appended. */
  async run(batch = 4, dieAfter = Infinity, ahead = 0): Promise<void> {
    const source = await openFolderSource(this.#folder, { listings: this.#listings, mayBeEmpty: true });
    let waiting: { what: string; cursor: string }[] = [];
    let batches = 0;
    let read = 0;
    const append = (): void => {
      this.appended.push(...waiting.map(({ what }) => what));
      this.#cursor = waiting.at(-1)?.cursor ?? this.#cursor;
      waiting = [];
      batches += 1;
    };
    if (dieAfter === 0 && ahead === 0) return;
    for await (const { record, cursor } of source.items(this.#cursor)) {
      const path = decodeURIComponent(record.uri.slice(record.uri.indexOf("/pictures/") + 10));
      waiting.push({ what: `${path}@${record.eventTimeMs / 1000}`, cursor });
      if (batches >= dieAfter) {
        if (++read >= ahead) return;
      } else if (waiting.length >= batch) {
        append();
        if (batches >= dieAfter && ahead === 0) return;
      }
    }
    if (batches < dieAfter && waiting.length > 0) append();
  }

  /** What a power cut does to a file that was not synced: its end is missing. */
  async loseEnd(sizeBytes: number): Promise<void> {
    for (const name of await readdir(this.#listings).catch(() => [])) {
      const file = join(this.#listings, name);
      await truncate(file, Math.max(0, (await stat(file)).size - sizeBytes));
    }
  }

  async forgetListings(): Promise<void> {
    await rm(this.#listings, { recursive: true, force: true });
  }

  forgetLog(): void {
    this.appended.length = 0;
    this.#cursor = null;
  }

  /** Everything that lies in the folder now */
  get present(): readonly string[] {
    return [...this.#versions].map(([path, version]) => `${path}@${version}`);
  }
}

const path = fc.constantFrom("a.jpg", "a/b.jpg", "a/c.jpg", "b.jpg", "b/a/x.jpg", "c.jpg", "m/n.jpg", "z.jpg", "é.jpg");
const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("put" as const), path }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove" as const), path }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("run" as const), batch: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("die" as const),
      batch: fc.integer({ min: 1, max: 3 }),
      after: fc.integer({ min: 0, max: 3 }),
      ahead: fc.integer({ min: 0, max: 5 }),
    }),
  },
);
type Action = typeof action extends fc.Arbitrary<infer Each> ? Each : never;

async function act(bench: Bench, step: Action): Promise<void> {
  if (step.kind === "put") await bench.put(step.path);
  else if (step.kind === "remove") await bench.remove(step.path);
  else if (step.kind === "run") await bench.run(step.batch);
  else await bench.run(step.batch, step.after, step.ahead);
}

describe("what a folder source remembers", () => {
  test("whatever is added, changed or cut off, each content is taken exactly once", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 3, maxLength: 25 }), async (steps) => {
        await Bench.with(async (bench) => {
          let removed = false;
          for (const step of steps) {
            await act(bench, step);
            removed ||= step.kind === "remove";
          }
          await bench.run();
          for (const what of bench.present) assert.ok(bench.appended.includes(what), `${what} was lost`);
          assert.equal(new Set(bench.appended).size, bench.appended.length, `repeated: ${bench.appended.join(" ")}`);
          const before = bench.appended.length;
          await bench.run();
          await bench.run();
          assert.equal(bench.appended.length, before, "a run with nothing new appends nothing");
        });
      }),
      { numRuns: 60, seed: 12 },
    );
  });

  test("a power cut costs repeats, never an image", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { minLength: 3, maxLength: 12 }),
        fc.integer({ min: 1, max: 400 }),
        fc.array(action, { maxLength: 8 }),
        async (before, lost, later) => {
          await Bench.with(async (bench) => {
            for (const step of before) await act(bench, step);
            await bench.loseEnd(lost);
            for (const step of later) await act(bench, step);
            await bench.run();
            for (const what of bench.present) assert.ok(bench.appended.includes(what), `${what} was lost`);
          });
        },
      ),
      { numRuns: 40, seed: 13 },
    );
  });

  test("listings without their log, or a log without its listings, have everything taken again", async () => {
    await Bench.with(async (bench) => {
      for (const name of ["a.jpg", "b.jpg", "c.jpg"]) await bench.put(name);
      await bench.run();
      await bench.run();
      await bench.put("0.jpg");
      await bench.run();
      bench.forgetLog();
      await bench.run();
      assert.deepEqual([...bench.appended].sort(), [...bench.present].sort());
      await bench.forgetListings();
      await bench.run();
      assert.equal(bench.appended.length, 8);
      await bench.run();
      assert.equal(bench.appended.length, 8);
    });
  });

  test("what another include leaves out stays taken", async () => {
    const root = await mkdtemp(join(tmpdir(), "sluice-listing-"));
    try {
      for (const name of ["a.jpg", "b.png"]) await writeFile(join(root, name), name);
      const listings = join(root, ".listings");
      const all = await itemsOf(await openFolderSource(root, { listings }));
      const cursor = all.at(-1)!.cursor;
      assert.equal(all.length, 2);
      assert.equal((await itemsOf(await openFolderSource(root, { listings, include: ["*.png"] }), cursor)).length, 0);
      assert.equal((await itemsOf(await openFolderSource(root, { listings }), cursor)).length, 0);
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  });
});
