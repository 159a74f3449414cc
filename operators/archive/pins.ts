import { z } from "zod";
import { getIfThere, type Store } from "../../connectors/store/store.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import { openSealedJson, sealJson } from "../../schemas/sealed-json.js";

type Archive = Pick<ChainName, "teacher" | "stream">;

/** Says that somebody reads an archive as it was at a moment; what has been compacted since is not swept before `untilMs`. */
const pinSchema = z.strictObject({ schemaVersion: z.literal(1), createdMs: z.int(), untilMs: z.int() });

/** A reader that died leaves its pin; a reader that takes longer looks at the runs again. */
const HOLD_MS = 6 * 60 * 60 * 1000;

export interface PinOptions {
  /** Of this reading alone: [a-z0-9-]+ */
  readonly name: string;
  readonly nowMs: () => number;
}

/** Reads an archive under a pin. */
export async function withPin<T>(
  store: Store,
  archive: Archive,
  options: PinOptions,
  work: () => Promise<T>,
): Promise<T> {
  const key = keys.pin(archive, options.name);
  const createdMs = options.nowMs();
  await store.put(key, sealJson({ schemaVersion: 1, createdMs, untilMs: createdMs + HOLD_MS }));
  try {
    return await work();
  } finally {
    await store.delete(key);
  }
}

/** When the oldest pin of an archive was made, ms; null where none holds. Pins whose time is over are deleted. */
export async function oldestPin(store: Store, archive: Archive, nowMs: number): Promise<number | null> {
  let oldest: number | null = null;
  for await (const { key } of store.list(keys.pins(archive))) {
    const pin = await readPin(store, key);
    if (pin === null) continue;
    if (pin.untilMs <= nowMs) await store.delete(key);
    else oldest = Math.min(oldest ?? pin.createdMs, pin.createdMs);
  }
  return oldest;
}

/** null where it has just been deleted. One that cannot be read holds everything until somebody deletes it: nothing is lost by that. */
async function readPin(store: Store, key: string): Promise<{ createdMs: number; untilMs: number } | null> {
  const bytes = await getIfThere(store, key);
  if (bytes === null) return null;
  try {
    return pinSchema.parse(openSealedJson(bytes));
  } catch {
    return { createdMs: 0, untilMs: Number.POSITIVE_INFINITY };
  }
}
