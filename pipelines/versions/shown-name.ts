import { basename } from "node:path";
import { percentDecode, shownPath } from "../../connectors/source/byte-path.js";

/** An image's name for people, from its uri: of any characters, also bytes that are no UTF-8. */
export function shownName(uri: string): string {
  return basename(shownPath(percentDecode(uri)));
}
