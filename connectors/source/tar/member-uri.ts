import { percentDecode, percentEncode, type BytePath } from "../byte-path.js";
import type { MemberPlace } from "./shard-members.js";

/**
 * `tar:/path/of/shard.tar?at=512#name`, percent-encoded, 512 being where the member's bytes begin in the unpacked shard: with it a
 * member is read without looking through its shard, and is told from others of its name. An empty name is the shard itself.
 */
export function memberUri(shard: BytePath, place: MemberPlace | null): string {
  const at = place?.offset == null ? "" : `?at=${place.offset}`;
  return `tar:${percentEncode(shard)}${at}#${place === null ? "" : percentEncode(place.name)}`;
}

export interface MemberUri {
  readonly shard: BytePath;
  readonly place: MemberPlace;
}

/** null for another kind of uri. */
export function parseMemberUri(uri: string): MemberUri | null {
  const [, shard, offset, name] = /^tar:(\/[^?#]*)(?:\?at=(\d+))?#(.*)$/s.exec(uri) ?? [];
  if (shard === undefined || name === undefined) return null;
  return {
    shard: percentDecode(shard),
    place: { name: percentDecode(name), offset: offset === undefined ? null : Number(offset) },
  };
}
