import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { DecodeConfig } from "../../schemas/config.js";
import { SluiceError, type ErrorCode } from "../../schemas/errors.js";
import { joinNotes } from "../../schemas/image-notes.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { notesOf, planDecode, refuse, refuseDecoded } from "./decode-plan.js";
import { pdq, type Pdq } from "./pdq.js";
import { isBadImage } from "./fetch.js";
import { refusal, type Decoded, type Fetched, type Refused, type Scored } from "./image-in-flight.js";

export interface DecodeOptions {
  readonly decoder: Decoder;
  readonly card: ModelCard;
  readonly config: DecodeConfig;
  /** Called for each image that is refused: others may wait for the scores of the same digest */
  readonly settle: (digest: Uint8Array, scored: Scored) => void;
}

/** Turns an image's bytes into the teacher's pixels. Never throws for a bad image. */
export async function decodeImage(image: Fetched, options: DecodeOptions): Promise<Decoded | Refused> {
  const { origin, bytes } = image;
  const { decoder, card, config, settle } = options;
  const refused = (code: ErrorCode, reason: string): Refused => {
    settle(origin.digest, { code, reason });
    return refusal(origin, code, reason);
  };
  try {
    const header = await decoder.header(bytes);
    const refusedBy = refuse(header, config, origin.uri);
    if (refusedBy !== null) return refused(refusedBy.code, refusedBy.reason);
    const plan = planDecode(header, card);
    let hashed: Pdq | undefined;
    const { pixels, notes } = await decoder.decode(bytes, header, plan, (stored) => {
      // The picture as people see it, whatever the teacher's card says of orientation
      hashed = pdq(stored, header.orientation);
    });
    if (hashed === undefined) throw new TypeError(`the decoder ${decoder.name} showed no whole picture`);
    const refusedAfter = refuseDecoded(notes, config);
    if (refusedAfter !== null) return refused(refusedAfter.code, refusedAfter.reason);
    const turned = plan.orientation >= 5;
    return {
      kind: "decoded",
      origin,
      bytes,
      pixels,
      pdq: hashed,
      notes: joinNotes([...notesOf(header, plan, origin.uri), ...notes]),
      width: turned ? header.height : header.width,
      height: turned ? header.width : header.height,
    };
  } catch (error) {
    if (error instanceof SluiceError && isBadImage(error.code)) return refused(error.code, error.message);
    throw error;
  }
}
