import { z } from "zod";
import { messageOf, SluiceError } from "./errors.js";
import { openSealedJson, sealJson } from "./sealed-json.js";

export const CLAIMS_VERSION = 1;

const offset = z.int().nonnegative();

/**
 * One chain of a (teacher, stream), as it was laid down before anything of it was scored: offsets [origin, end) of one
 * partition. `end` null: the live chain, which has all from `origin` on.
 */
export const chainClaimSchema = z.strictObject({
  partition: offset,
  origin: offset,
  end: offset.nullable(),
  /** Of a replay that was asked for up to the log's end, which `end` was then */
  untilNow: z.literal(true).optional(),
});
export type ChainClaim = z.infer<typeof chainClaimSchema>;

/** Chains that were claimed together. Claims of one (teacher, stream) are numbered from 0; no two chains share an offset. */
export const chainClaimsSchema = z.strictObject({
  schemaVersion: z.literal(CLAIMS_VERSION),
  chains: z.array(chainClaimSchema).min(1),
});
export type ChainClaims = z.infer<typeof chainClaimsSchema>;

export function encodeClaims(chains: readonly ChainClaim[]): Uint8Array {
  const claims: ChainClaims = { schemaVersion: CLAIMS_VERSION, chains: [...chains] };
  return sealJson(claims);
}

/** Throws E_SEGMENT_CORRUPT, naming `key`. */
export function decodeClaims(bytes: Uint8Array, key: string): readonly ChainClaim[] {
  try {
    return chainClaimsSchema.parse(openSealedJson(bytes)).chains;
  } catch (cause) {
    throw new SluiceError(
      "E_SEGMENT_CORRUPT",
      `Expected the claims of chains (JSON, version ${CLAIMS_VERSION}) at ${key}, found something else: ${messageOf(cause)}. Restore the object from a copy.`,
      { cause, key },
    );
  }
}
