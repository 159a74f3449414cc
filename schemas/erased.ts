import type { ImageRecord } from "./image-record.js";

/** Stands in the place of an erased image's uri. It leads nowhere. */
export const ERASED_URI = "erased:";

/** What stands in the log in the place of an erased image's record. */
export function erasedRecord({ eventTimeMs }: Pick<ImageRecord, "eventTimeMs">): ImageRecord {
  return { uri: ERASED_URI, bytes: null, eventTimeMs, licence: null, origin: null, retryOf: null };
}
