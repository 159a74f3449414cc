import type { Store } from "../../connectors/store/store.js";
import { LEFT_OUT_FILE, readLeftOutLines, type LeftOut, type LeftOutLine } from "../../schemas/left-out.js";
import type { Manifest } from "../../schemas/manifest.js";
import { publishedFile } from "./published-file.js";

/** What a version left out: near duplicates and guarded images, by class in the order of their ranks. Throws E_VERSION_CORRUPT, E_STORE_MISSING. */
export async function readLeftOut(store: Store, manifest: Manifest): Promise<LeftOutLine[]> {
  const file = manifest.files.find(({ key }) => key.endsWith(`/${LEFT_OUT_FILE}`));
  if (file === undefined) return [];
  const bytes = await publishedFile(store, manifest, file);
  return readLeftOutLines(Buffer.from(bytes).toString("utf8"), file.key);
}

/** What a version left out of each class, by `class sha256`. */
export async function leftOutOf(store: Store, manifest: Manifest): Promise<ReadonlyMap<string, LeftOut>> {
  return new Map((await readLeftOut(store, manifest)).map((one) => [`${one.class} ${one.sha256}`, one]));
}

/** Why it was left out, as a sentence. */
export function leftOutText({ by, set, partner, distance, sha256 }: LeftOut): string {
  const bits = `${distance} ${distance === 1 ? "bit" : "bits"} away`;
  if (by === "near") return `near duplicate of ${partner.slice(0, 12)}, which ranks better (${bits})`;
  if (partner === sha256) return `an image of the guarded set ${set ?? ""}`;
  return `near duplicate of ${partner.slice(0, 12)} of the guarded set ${set ?? ""} (${bits})`;
}
