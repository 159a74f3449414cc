import { sha256Hex } from "../../schemas/canonical.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import { decodeGeneration, PackIndex, packNamed } from "../../schemas/pack.js";

type Objects = ReadonlyMap<string, Uint8Array>;

/** Whether a pack, wherever its members lie by now, has the bytes of a digest; read without any of the code that follows packs. */
export function hasMember(objects: Objects, pack: string, sha256: string): boolean {
  const { chain, start, attempt } = packNamed(pack)!;
  const standing = newestGeneration(objects, chain, start);
  if (standing === null) return memberIn(objects, keys.scoredPack(chain, start, attempt), sha256);
  return standing.packs.some(({ key, from, to }) => from <= start && start < to && memberIn(objects, key, sha256));
}

/** Whether any object of a pack's chain has them, also one that a collector has dropped and not deleted: readers find them there, and they come back. */
export function liesStill(objects: Objects, pack: string, sha256: string): boolean {
  const { chain } = packNamed(pack)!;
  return [...objects.keys()].some(
    (key) => key.startsWith(keys.packs(chain)) && key.endsWith(".pack") && memberIn(objects, key, sha256),
  );
}

function newestGeneration(objects: Objects, chain: ChainName, start: number) {
  const found = [...objects.keys()]
    .filter((key) => key.startsWith(keys.packGenerations(chain)))
    .flatMap((key) => {
      const [, from, number] = /(\d{20})-(\d{6})\.json$/.exec(key)!;
      return decodeGeneration(objects.get(key)!, chain, Number(from), Number(number));
    })
    .filter((one) => one.start <= start && start < one.end);
  return found.sort((a, b) => a.generation - b.generation).at(-1) ?? null;
}

function memberIn(objects: Objects, key: string, sha256: string): boolean {
  const bytes = objects.get(key);
  if (bytes === undefined) return false;
  const index = PackIndex.read(bytes, key);
  const member = index.find(Buffer.from(sha256, "hex"));
  if (member < 0) return false;
  const start = index.startOf(member);
  return sha256Hex(bytes.subarray(start, start + index.sizeOf(member))) === sha256;
}
