import { isSluiceError } from "../../../schemas/errors.js";
import type { BytePath } from "../byte-path.js";
import { tooLarge } from "../open-file.js";
import type { OpenedImage } from "../source.js";
import type { AskedMember } from "./shard-members.js";
import { openShard } from "./tar-shard.js";

/**
 * Members of a shard in one pass over it, which ends behind the last of them. What it does not meet as a file (links, what
 * has gone, what lies behind the place where the shard breaks off) goes to `left`.
 */
export async function* membersInOnePass(
  path: BytePath,
  asked: readonly AskedMember[],
  left: AskedMember[],
): AsyncGenerator<OpenedImage, void, undefined> {
  const wanted = new Map<number | string, AskedMember[]>();
  for (const one of asked) {
    const key = one.place.offset ?? one.place.name;
    const list = wanted.get(key);
    if (list === undefined) wanted.set(key, [one]);
    else list.push(one);
  }
  /** Those of the member that is being read */
  const broken: AskedMember[] = [];
  try {
    const shard = await openShard(path);
    try {
      for await (const member of shard.members()) {
        const takers: AskedMember[] = [];
        for (const key of [member.offset, member.name]) {
          const list = wanted.get(key) ?? [];
          if (list.length === 0 || list.some(({ place }) => place.name !== member.name)) continue;
          wanted.delete(key);
          (member.kind === "file" ? takers : left).push(...list);
        }
        const fitting = takers.filter(({ sizeBytes }) => member.sizeBytes <= sizeBytes);
        let bytes: Uint8Array | null = null;
        if (fitting.length > 0) {
          broken.push(...takers);
          bytes = await shard.read(member);
          broken.length = 0;
        }
        for (const { at, uri, sizeBytes } of takers) {
          if (bytes === null || member.sizeBytes > sizeBytes)
            yield { at, image: tooLarge(uri, member.sizeBytes, sizeBytes) };
          else yield { at, image: bytes };
        }
        if (wanted.size === 0) break;
      }
    } finally {
      await shard.close();
    }
  } catch (error) {
    // What reads the rest says why.
    if (!isSluiceError(error, "E_SOURCE_READ")) throw error;
  }
  for (const list of [broken, ...wanted.values()]) left.push(...list);
}
