import { z } from "zod";
import { getIfThere, type Store } from "../../connectors/store/store.js";
import { isSluiceError, orNull } from "../../schemas/errors.js";
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

/** A pin that holds until it is released, or its time is over. */
export class Pin {
  readonly #store: Store;
  readonly #key: string;
  readonly #untilMs: number;
  readonly #nowMs: () => number;

  private constructor(store: Store, key: string, untilMs: number, nowMs: () => number) {
    this.#store = store;
    this.#key = key;
    this.#untilMs = untilMs;
    this.#nowMs = nowMs;
  }

  static async take(store: Store, archive: Archive, { name, nowMs }: PinOptions): Promise<Pin> {
    const key = keys.pin(archive, name);
    const createdMs = nowMs();
    const untilMs = createdMs + HOLD_MS;
    await store.put(key, sealJson({ schemaVersion: 1, createdMs, untilMs }));
    return new Pin(store, key, untilMs, nowMs);
  }

  isHeld(): boolean {
    return this.#nowMs() < this.#untilMs;
  }

  async release(): Promise<void> {
    await this.#store.delete(this.#key);
  }
}

/** Reads an archive under a pin. Of a store that cannot be written it is read without one: nobody sweeps it from here. */
export async function withPin<T>(
  store: Store,
  archive: Archive,
  options: PinOptions,
  work: () => Promise<T>,
): Promise<T> {
  let pin: Pin;
  try {
    pin = await Pin.take(store, archive, options);
  } catch (error) {
    if (!isSluiceError(error, "E_STORE_READONLY")) throw error;
    return work();
  }
  try {
    return await work();
  } finally {
    // The work is done, or has failed for a reason of its own: a pin that stays ends by itself.
    await orNull(pin.release(), "E_STORE_IO");
  }
}

/**
 * When the oldest pin was made, ms, of an archive or of all of the store's; null where none holds. Pins whose time is over are
 * deleted.
 */
export async function oldestPin(store: Store, archive: Archive | "all", nowMs: number): Promise<number | null> {
  let oldest: number | null = null;
  for await (const { key } of store.list(archive === "all" ? keys.allPins : keys.pins(archive))) {
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
