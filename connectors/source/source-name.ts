import { sha256Hex } from "../../schemas/canonical.js";
import { percentEncode, type BytePath } from "./byte-path.js";

/** A source's name is part of a key in the log, and keys have a greatest length. */
const LONGEST = 512;

export function sourceName(kind: "folder" | "tar" | "bucket", place: BytePath): string {
  const name = `${kind}:${percentEncode(place)}`;
  return name.length <= LONGEST ? name : `${kind}:sha256-${sha256Hex(place)}`;
}
