import { Refusal } from "../refusal.js";
import type { Budget, Room } from "./budget.js";

export interface BodyRoomOptions {
  readonly budget: Budget;
  /** What an image may take while it is being read */
  readonly imageBytes: number;
  /** Settles when another image may be taken; throws a refusal where that is not soon */
  readonly mayGoOn: () => Promise<void>;
  readonly nowMs: () => number;
}

/** How often a sender that is slow is looked at, ms */
const LOOK_MS = 250;
/** An image that others wait for may come slowly for so long, ms, and then no slower than so many bytes a ms */
const GRACE_MS = 30_000;
const LEAST_BYTES_PER_MS = 8;

/**
 * The room that one request's body has in the budget: that of the image which is being read. Between two images a body has none, however long it is
 * open, so that it keeps nobody out.
 */
export class BodyRoom {
  readonly #options: BodyRoomOptions;
  #reading: Room | null;
  #sinceMs: number;
  #receivedBytes = 0;
  #refusal: Refusal | null = null;

  /** `taken`: what the caller has taken for the body's only image */
  constructor(options: BodyRoomOptions, taken: Room | null) {
    this.#options = options;
    this.#reading = taken;
    this.#sinceMs = options.nowMs();
  }

  /** What `chunks` threw: who reads them may have put it into words of their own. */
  get refusal(): Refusal | null {
    return this.#refusal;
  }

  /** The body's chunks, each once there is room for the image that it belongs to. Throws a refusal of a sender that is too slow while others wait. */
  async *chunks(source: AsyncIterator<unknown>): AsyncGenerator<Uint8Array> {
    for (;;) {
      let chunk: Uint8Array;
      try {
        const next = await this.#paced(source.next());
        if (next.done === true) return;
        chunk = next.value as Uint8Array;
        if (this.#reading === null) await this.#begin();
      } catch (error) {
        if (error instanceof Refusal) this.#refusal = error;
        throw error;
      }
      this.#receivedBytes += chunk.length;
      yield chunk;
    }
  }

  /** The room of an image that was read, which is given back when the image is in the log. */
  async leave(sizeBytes: number): Promise<Room> {
    const room = this.#reading;
    this.#reading = null;
    if (room !== null) {
      room.shrink(sizeBytes);
      return room;
    }
    // It came with the end of the image before it.
    await this.#options.mayGoOn();
    return this.#options.budget.wait(sizeBytes);
  }

  end(): void {
    this.#reading?.giveBack();
    this.#reading = null;
  }

  async #begin(): Promise<void> {
    const { budget, imageBytes, mayGoOn, nowMs } = this.#options;
    await mayGoOn();
    this.#reading = await budget.wait(imageBytes);
    this.#sinceMs = nowMs();
    this.#receivedBytes = 0;
  }

  async #paced<T>(next: Promise<T>): Promise<T> {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<null>((resolve) => {
        timer = setTimeout(resolve, LOOK_MS, null);
      });
      const come = await Promise.race([next.then((value) => ({ value })), late]).finally(() => {
        clearTimeout(timer);
      });
      if (come !== null) return come.value;
      if (this.#reading !== null && this.#options.budget.isWanted) this.#assertPace();
    }
  }

  #assertPace(): void {
    const tookMs = this.#options.nowMs() - this.#sinceMs;
    if (tookMs <= GRACE_MS + this.#receivedBytes / LEAST_BYTES_PER_MS) return;
    throw new Refusal(
      408,
      "E_GATEWAY_BUSY",
      `Expected an image to come faster while others wait for its room, found ${this.#receivedBytes} bytes in ${Math.round(tookMs / 1000)} s. Send it again.`,
    );
  }
}
