import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { DecodeConfig } from "../../schemas/config.js";
import { SluiceError, type ErrorCode } from "../../schemas/errors.js";
import { joinNotes } from "../../schemas/image-notes.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { notesOf, planDecode, refuse, refuseDecoded } from "./decode-plan.js";
import { pdq, type Pdq } from "./pdq.js";
import { isBadImage } from "./fetch.js";
import { refusal, type Decoded, type Fetched, type Refused, type Scored } from "./image-in-flight.js";

/** An image's bytes, as its teacher sees them. */
export type DecodedBytes = Pick<Decoded, "pixels" | "pdq" | "notes" | "width" | "height">;

/** Why there is nothing to see */
export interface RefusedBytes {
  readonly code: ErrorCode;
  readonly reason: string;
}

/** Turns bytes into a teacher's pixels: in this thread, or in others. */
export interface ImageDecoding {
  /** Images that it takes at once, where that is more than one a core */
  readonly parallelism?: number;
  /** `uri`: its extension may name another format than the bytes are. Never rejects for a bad image. */
  decode(bytes: Uint8Array, uri: string): Promise<DecodedBytes | RefusedBytes>;
}

export interface DecodingOptions {
  readonly decoder: Decoder;
  readonly card: Pick<ModelCard, "input" | "resize">;
  readonly config: DecodeConfig;
}

export interface DecodeOptions {
  readonly decoding: ImageDecoding;
  /** Called for each image that is refused: others may wait for the scores of the same digest */
  readonly settle: (digest: Uint8Array, scored: Scored) => void;
}

/** Turns an image's bytes into the teacher's pixels. Never throws for a bad image. */
export async function decodeImage(image: Fetched, { decoding, settle }: DecodeOptions): Promise<Decoded | Refused> {
  const { origin, bytes } = image;
  const decoded = await decoding.decode(bytes, origin.uri);
  if (!("code" in decoded)) return { kind: "decoded", origin, bytes, ...decoded };
  const { code, reason } = decoded;
  settle(origin.digest, { code, reason });
  return refusal(origin, code, reason);
}

/** With the decoder of this thread. */
export function decodingHere({ decoder, card, config }: DecodingOptions): ImageDecoding {
  return {
    async decode(bytes, uri) {
      try {
        const header = await decoder.header(bytes);
        const refusedBy = refuse(header, config, uri);
        if (refusedBy !== null) return { code: refusedBy.code, reason: refusedBy.reason };
        const plan = planDecode(header, card);
        let hashed: Pdq | undefined;
        const { pixels, notes } = await decoder.decode(bytes, header, plan, (stored) => {
          // The picture as people see it, whatever the teacher's card says of orientation
          hashed = pdq(stored, header.orientation);
        });
        if (hashed === undefined) throw new TypeError(`the decoder ${decoder.name} showed no whole picture`);
        const refusedAfter = refuseDecoded(notes, config);
        if (refusedAfter !== null) return { code: refusedAfter.code, reason: refusedAfter.reason };
        const turned = plan.orientation >= 5;
        return {
          pixels,
          pdq: hashed,
          notes: joinNotes([...notesOf(header, plan, uri), ...notes]),
          width: turned ? header.height : header.width,
          height: turned ? header.width : header.height,
        };
      } catch (error) {
        if (error instanceof SluiceError && isBadImage(error.code)) return { code: error.code, reason: error.message };
        throw error;
      }
    },
  };
}
