import type { Store } from "../../connectors/store/store.js";
import type { ChainName } from "../../schemas/keys.js";
import { Pin } from "../archive/pins.js";
import { PackReader } from "./pack-reader.js";

export interface KeptAgainOptions {
  readonly store: Store;
  /** Whose pin it is */
  readonly archive: Pick<ChainName, "teacher" | "stream">;
  /** Whole name of the pack that is known to have kept a digest (32 bytes); null where none is */
  readonly packOf: (digest: Uint8Array) => string | null;
  /** Of this process alone: [a-z0-9-]+ */
  readonly name: string;
  readonly nowMs: () => number;
}

/** What was seen of packs under a pin is believed for so long; then it is looked at again under a new one. */
const BELIEVED_MS = 10 * 60 * 1000;

/**
 * For the scorer of one chain: knows which images packs have already, so that a repeated image is named where it lies and not stored again. A pin says so
 * to the collector before anything is looked at: what is named within it is not deleted before the collector has seen the row.
 */
export class KeptAgain {
  readonly #options: KeptAgainOptions;
  #pins = 0;
  #held: { readonly pin: Pin; readonly packs: PackReader; readonly sinceMs: number } | null = null;

  constructor(options: KeptAgainOptions) {
    this.#options = options;
  }

  /**
   * Of digests of 32 bytes those that a pack has: whole names by hexadecimal digest. What the scorer names of them it has
   * archived, or given up, when it calls again.
   */
  async find(digests: readonly Uint8Array[]): Promise<Map<string, string>> {
    const known: { readonly digest: string; readonly pack: string }[] = [];
    for (const digest of digests) {
      const pack = this.#options.packOf(digest);
      if (pack !== null) known.push({ digest: Buffer.from(digest).toString("hex"), pack });
    }
    const found = new Map<string, string>();
    if (known.length === 0) return found;
    const packs = await this.#underPin();
    for (const { digest, pack } of known) if (await packs.stands(pack, digest)) found.set(digest, pack);
    return found;
  }

  /** Whether what was found last may be named still. */
  isHeld(): boolean {
    return this.#held?.pin.isHeld() ?? true;
  }

  /** Lets go of the pin. */
  async close(): Promise<void> {
    const held = this.#held;
    this.#held = null;
    await held?.pin.release();
  }

  async #underPin(): Promise<PackReader> {
    const { store, archive, name, nowMs } = this.#options;
    const before = this.#held;
    if (before !== null && Math.abs(nowMs() - before.sinceMs) < BELIEVED_MS) return before.packs;
    const sinceMs = nowMs();
    const pin = await Pin.take(store, archive, { name: `${name}-${this.#pins++}`, nowMs });
    this.#held = { pin, packs: new PackReader(store), sinceMs };
    await before?.pin.release();
    return this.#held.packs;
  }
}
