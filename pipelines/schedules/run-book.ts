import { getIfThere, type Store } from "../../connectors/store/store.js";
import { keys } from "../../schemas/keys.js";
import {
  claimedRunSchema,
  endedRunSchema,
  heldRunSchema,
  type ClaimedRun,
  type EndedRun,
} from "../../schemas/schedule.js";
import { readSealed, sealJson } from "../../schemas/sealed-json.js";
import type { z } from "zod";

/** The newest run of a schedule. */
export interface NewestRun {
  readonly claim: ClaimedRun;
  /** null: it goes on, or its process has gone */
  readonly end: EndedRun | null;
  /** Until when its process is taken to live, ms; null where it does not say so */
  readonly heldUntilMs: number | null;
}

/** What the store knows of one schedule's runs. Throws E_STORE_CORRUPT where an object is not as it was written. */
export class RunBook {
  readonly #store: Store;
  readonly #stream: string;
  readonly #name: string;
  /** A number that is known to be there: claims are never deleted */
  #known = 0;

  constructor(store: Store, stream: string, name: string) {
    this.#store = store;
    this.#stream = stream;
    this.#name = name;
  }

  /** null where nobody has seen the schedule yet. */
  async newest(): Promise<NewestRun | null> {
    const number = await this.#highest();
    if (number === null) return null;
    const claim = await this.#read(keys.scheduled(this.#stream, this.#name, number), claimedRunSchema);
    if (claim === null) return null;
    const end = await this.#read(keys.scheduledEnd(this.#stream, this.#name, number), endedRunSchema);
    const held = await this.#read(keys.scheduledHold(this.#stream, this.#name, number), heldRunSchema);
    return { claim, end, heldUntilMs: held?.untilMs ?? null };
  }

  /** `exists`: another process has it. */
  claim(claim: ClaimedRun): Promise<"created" | "exists"> {
    return this.#store.putIfAbsent(keys.scheduled(this.#stream, this.#name, claim.number), sealJson(claim));
  }

  async hold(number: number, untilMs: number): Promise<void> {
    await this.#store.put(
      keys.scheduledHold(this.#stream, this.#name, number),
      sealJson({ schemaVersion: 1, untilMs }),
    );
  }

  /** Nobody works on it any more. */
  async release(number: number): Promise<void> {
    await this.#store.delete(keys.scheduledHold(this.#stream, this.#name, number));
  }

  async end(number: number, end: EndedRun): Promise<void> {
    await this.#store.putIfAbsent(keys.scheduledEnd(this.#stream, this.#name, number), sealJson(end));
    await this.release(number);
  }

  /** Numbers have no holes: found by doubling and halving, in a number of requests that grows with the logarithm. */
  async #highest(): Promise<number | null> {
    const isThere = async (number: number): Promise<boolean> =>
      (await this.#store.head(keys.scheduled(this.#stream, this.#name, number))) !== null;
    if (this.#known === 0 && !(await isThere(0))) return null;
    let step = 1;
    while (await isThere(this.#known + step)) {
      this.#known += step;
      step *= 2;
    }
    for (; step >= 1; step = Math.floor(step / 2)) if (await isThere(this.#known + step)) this.#known += step;
    return this.#known;
  }

  async #read<One>(key: string, schema: z.ZodType<One>): Promise<One | null> {
    const bytes = await getIfThere(this.#store, key);
    if (bytes === null) return null;
    const what = `a record of the schedule ${this.#name}`;
    const repair = "Delete the object: the run that it tells of is run once more.";
    return readSealed(schema, bytes, { key, what, repair });
  }
}
