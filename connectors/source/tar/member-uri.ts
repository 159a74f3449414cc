import { percentDecode, percentEncode, type BytePath } from "../byte-path.js";
import type { MemberPlace } from "./shard-members.js";

/**
 * `tar:/path/of/shard.tar#name@offset`, percent-encoded, the offset being where the member's bytes begin in the unpacked shard: with it a
 * member is read without looking through its shard, and is told from others of its name. An `@` within a name is encoded. `#` alone is the
 * shard itself.
 */
export function memberUri(shard: BytePath, place: MemberPlace | null): string {
  const member = place === null ? "" : percentEncode(place.name).replaceAll("@", "%40");
  return `tar:${percentEncode(shard)}#${member}${place?.offset == null ? "" : `@${place.offset}`}`;
}

/** null for another kind of uri. */
export function parseMemberUri(uri: string): { readonly shard: BytePath; readonly place: MemberPlace } | null {
  const [, shard, name, offset] = /^tar:(\/[^?#]*)#(.*?)(?:@(\d+))?$/s.exec(uri) ?? [];
  if (shard === undefined || name === undefined) return null;
  return {
    shard: percentDecode(shard),
    place: { name: percentDecode(name), offset: offset === undefined ? null : Number(offset) },
  };
}
