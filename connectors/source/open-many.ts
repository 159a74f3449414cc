import type { PlaceGuard } from "./allowed-places.js";
import { imageOrRefusal } from "./image-or-refusal.js";
import { inFlight, READS_AHEAD } from "./in-flight.js";
import type { AskedImage, ImageOpener, OpenedImage } from "./source.js";
import { parseMemberUri } from "./tar/member-uri.js";
import type { ShardIndexes } from "./tar/shard-indexes.js";
import type { AskedMember } from "./tar/shard-members.js";

/** Files and objects in the order of their uris, several at once; then shard by shard. */
export async function* openMany(
  asked: readonly AskedImage[],
  opener: Pick<ImageOpener, "open">,
  shards: ShardIndexes,
  guard: PlaceGuard,
): AsyncGenerator<OpenedImage, void, undefined> {
  const whole: number[] = [];
  const members = new Map<string, AskedMember[]>();
  for (const [at, { uri, sizeBytes }] of asked.entries()) {
    const member = parseMemberUri(uri);
    if (member === null) {
      whole.push(at);
      continue;
    }
    const list = members.get(member.shard) ?? [];
    members.set(member.shard, list);
    list.push({ at, uri, sizeBytes, place: member.place });
  }
  const uriOf = (at: number): string => asked[at]!.uri;
  whole.sort((a, b) => (uriOf(a) < uriOf(b) ? -1 : uriOf(a) > uriOf(b) ? 1 : 0));
  yield* openEach(asked, opener, whole);
  for (const [shard, wanted] of [...members].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const path = await imageOrRefusal(guard.file("tar", shard, wanted[0]!.uri));
    if (typeof path === "string") yield* shards.openMany(path, wanted);
    else for (const { at } of wanted) yield { at, image: path };
  }
}

/** Each by itself, several at once, in the order of `order`. */
export function openEach(
  asked: readonly AskedImage[],
  opener: Pick<ImageOpener, "open">,
  order: Iterable<number> = asked.keys(),
): AsyncGenerator<OpenedImage, void, undefined> {
  return inFlight(
    order,
    READS_AHEAD,
    (at) => asked[at]!.sizeBytes,
    async (at) => ({ at, image: await imageOrRefusal(opener.open(asked[at]!.uri, asked[at]!.sizeBytes)) }),
  );
}
