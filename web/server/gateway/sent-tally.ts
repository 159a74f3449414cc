import type { Intake, TakenImage } from "../../../pipelines/gateway/intake.js";
import type { SentImage } from "../../../pipelines/gateway/sent-image.js";
import type { PassedMember } from "../../../pipelines/gateway/sent-tar.js";
import { isSluiceError, SluiceError } from "../../../schemas/errors.js";
import type { BodyRoom } from "./body-room.js";
import type { Room } from "./budget.js";

/** Images of one request that are on their way into the log at a time */
const AT_ONCE = 64;
/** Places and refusals that one answer lists; the numbers are of all */
const LISTED = 1000;

/** What a request is answered. */
export interface GatewayAnswer {
  readonly status: number;
  readonly body: object;
}

interface Listed extends Partial<TakenImage> {
  readonly key: string | null;
}

interface ListedRefusal {
  readonly key: string | null;
  readonly code: string;
  readonly message: string;
}

/** What became of the images of one request. */
export class SentTally {
  readonly #intake: Intake;
  readonly #underWay = new Set<Promise<void>>();
  readonly #images: Listed[] = [];
  readonly #refused: ListedRefusal[] = [];
  readonly #passedOver: Record<string, number> = {};
  #taken = 0;
  #known = 0;
  #refusals = 0;
  #firstRefusal: SluiceError | null = null;
  #fault: { readonly error: unknown } | null = null;
  #heldBytes = 0;

  constructor(intake: Intake) {
    this.#intake = intake;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Takes one that was read; `body` has the room that it takes. */
  async add(one: SentImage | PassedMember | SluiceError, body: BodyRoom): Promise<void> {
    const sizeBytes = "bytes" in one ? (one.bytes?.length ?? 0) : 0;
    const room = await body.leave(sizeBytes);
    try {
      await this.#addTo(one, sizeBytes, room);
    } catch (error) {
      room.giveBack();
      throw error;
    }
  }

  async #addTo(one: SentImage | PassedMember | SluiceError, sizeBytes: number, room: Room): Promise<void> {
    if (one instanceof SluiceError) {
      this.#refuse(null, one);
      room.giveBack();
    } else if ("passedOver" in one) {
      this.#intake.passOver(one.passedOver, one.name);
      this.#passedOver[one.passedOver] = (this.#passedOver[one.passedOver] ?? 0) + 1;
      room.giveBack();
    } else {
      // One image is read while others are appended, of together no more than one may have.
      while (
        this.#underWay.size >= AT_ONCE ||
        (this.#heldBytes > 0 && this.#heldBytes + sizeBytes > this.#intake.maxImageBytes)
      )
        await Promise.race(this.#underWay);
      if (this.#fault !== null) throw this.#fault.error;
      this.#heldBytes += sizeBytes;
      const taking = this.#take(one).finally(() => {
        this.#heldBytes -= sizeBytes;
        room.giveBack();
        this.#underWay.delete(taking);
      });
      this.#underWay.add(taking);
    }
  }

  async #take(image: SentImage): Promise<void> {
    try {
      const { partition, offset, known } = await this.#intake.take(image);
      if (known) this.#known++;
      else this.#taken++;
      if (this.#images.length < LISTED) this.#images.push({ key: image.key, partition, offset, known });
    } catch (error) {
      if (isOfTheImage(error)) this.#refuse(image.key, error);
      else this.#fault ??= { error };
    }
  }

  #refuse(key: string | null, error: SluiceError): void {
    this.#firstRefusal ??= error;
    this.#refusals++;
    this.#intake.passOver("refused", key ?? error.code);
    if (this.#refused.length < LISTED) this.#refused.push({ key, code: error.code, message: error.message });
  }

  /** Waits for those that are on their way. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /** Once all of them are in the log. Throws what is no image's fault. */
  async answer(isOne: boolean): Promise<GatewayAnswer> {
    await this.settled();
    if (this.#fault !== null) throw this.#fault.error;
    if (isOne && this.#firstRefusal !== null) throw this.#firstRefusal;
    const body = {
      taken: this.#taken,
      known: this.#known,
      refused: this.#refusals,
      passedOver: this.#passedOver,
      images: this.#images,
      refusals: this.#refused,
    };
    return { status: this.#refusals > 0 ? 422 : 200, body };
  }
}

/** As against what may succeed another time */
export function isOfTheImage(error: unknown): error is SluiceError {
  return (
    isSluiceError(error) &&
    (error.code.startsWith("E_IMAGE_") || error.code === "E_RECORD_SCHEMA" || error.code === "E_GATEWAY_KEY")
  );
}
