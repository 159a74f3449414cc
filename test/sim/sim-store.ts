import type { Store, StoredObject, WrittenObject } from "../../connectors/store/store.js";
import { openMemoryStore, type MemoryStore } from "../fixtures/memory-store.js";
import type { LocalTable } from "../../pipelines/flow/score-index.js";
import { decisionOf } from "./deciding-keys.js";
import type { SimProcess, World } from "./world.js";

/** Keys that a listing hands out at once; what is created or deleted between two pages may be in it or not. */
const PAGE_KEYS = 4;

/** The commit points are few among so many calls: they fail more often than the rest, or hardly any run would see it. */
function riskOf(key: string): number {
  if (key.endsWith("/manifest.json")) return 15;
  return key.startsWith("checkpoints/") ? 10 : 1;
}

/** The one object store that all processes of a world share; it outlives them. */
export class SimStore {
  readonly memory: MemoryStore = openMemoryStore();
  readonly #world: World;
  /** Called after an object has been written, with what was there before */
  onWritten: (key: string, bytes: Uint8Array, before: Uint8Array | undefined, process: SimProcess) => void = () =>
    undefined;
  /** Called before an object is deleted */
  onDelete: (key: string) => void = () => undefined;

  constructor(world: World) {
    this.#world = world;
  }

  get objects(): Map<string, Uint8Array> {
    return this.memory.objects;
  }

  /** The store as one process sees it. */
  for(process: SimProcess): Store {
    const { memory } = this;
    const pageOf = (prefix: string, after: string): StoredObject[] => this.#page(prefix, after);
    const world = this.#world;
    const call = <T>(what: string, effect: () => Promise<T>, risk = 1, key = ""): Promise<T> =>
      world.call(process, what, effect, { risk, decides: decisionOf(key) });
    const write = <T>(key: string, effect: () => Promise<T>): Promise<T> => {
      const before = memory.objects.get(key);
      const made = effect();
      const bytes = memory.objects.get(key);
      if (bytes !== undefined && bytes !== before) this.onWritten(key, bytes, before, process);
      return made;
    };
    return {
      place: "simulated store",
      putIfAbsent: (key, bytes) =>
        call(`putIfAbsent ${key}`, () => write(key, () => memory.putIfAbsent(key, bytes)), riskOf(key), key),
      put: (key, bytes) => call(`put ${key}`, () => write(key, () => memory.put(key, bytes)), 1, key),
      async putStream(key, chunks): Promise<WrittenObject> {
        const parts: Uint8Array[] = [];
        for await (const chunk of chunks) parts.push(Uint8Array.from(chunk));
        const bytes = Buffer.concat(parts);
        await call(`putStream ${key}`, () => write(key, () => memory.put(key, bytes)), riskOf(key));
        return { sizeBytes: bytes.length };
      },
      get: (key) => call(`get ${key}`, () => memory.get(key)),
      getRange: (key, start, end) => call(`getRange ${key}`, () => memory.getRange(key, start, end)),
      async *getStream(key) {
        const bytes = await call(`getStream ${key}`, () => memory.get(key));
        const half = bytes.length >> 1;
        yield bytes.subarray(0, half);
        yield bytes.subarray(half);
      },
      head: (key) => call(`head ${key}`, () => memory.head(key)),
      async *list(prefix, { after = "" } = {}) {
        for (;;) {
          const page = await call(`list ${prefix} after ${after}`, async () => pageOf(prefix, after));
          yield* page;
          const last = page.at(-1);
          if (last === undefined || page.length < PAGE_KEYS) return;
          after = last.key;
        }
      },
      delete: (key) =>
        call(`delete ${key}`, () => {
          this.onDelete(key);
          return memory.delete(key);
        }),
      locate: (key) => call(`locate ${key}`, () => memory.locate(key)),
      close: () => Promise.resolve(),
    };
  }

  #page(prefix: string, after: string): StoredObject[] {
    return [...this.objects.keys()]
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort()
      .slice(0, PAGE_KEYS)
      .map((key) => ({ key, sizeBytes: this.objects.get(key)!.length }));
  }
}

/** What a machine's local disk keeps of the score index: writes are all or nothing. */
export class SimTable {
  readonly #entries = new Map<string, Uint8Array>();
  readonly #world: World;
  readonly #process: SimProcess;

  constructor(world: World, process: SimProcess, disk: SimTable | null) {
    this.#world = world;
    this.#process = process;
    if (disk !== null) this.#entries = disk.#entries;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#entries.get(Buffer.from(key).toString("hex"));
  }

  /** Another table on the same disk. */
  part(name: string): LocalTable {
    const prefix = Buffer.from(name);
    const keyOf = (key: Uint8Array): Uint8Array => Buffer.concat([prefix, key]);
    return {
      get: (key) => this.get(keyOf(key)),
      putMany: (entries) => this.putMany([...entries].map(([key, value]) => [keyOf(key), value] as const)),
    };
  }

  putMany(entries: Iterable<readonly [Uint8Array, Uint8Array]>): Promise<void> {
    const all = [...entries];
    return this.#world.call(this.#process, `table put ${all.length}`, async () => {
      for (const [key, value] of all) this.#entries.set(Buffer.from(key).toString("hex"), value);
    });
  }
}
