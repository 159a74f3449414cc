import type { RetriedRecords, ReviewItem } from "../../../schemas/api/images.ts";
import { CallError, post } from "../calls.ts";
import { plural } from "../wording.ts";
import { toast } from "./toast.ts";
import { author } from "./verdicts.ts";

/** Takes refused records up again, and says what came of it. Whether any was. */
export async function retryRecords(items: readonly ReviewItem[]): Promise<boolean> {
  const records = items.flatMap(({ refused }) =>
    refused === null ? [] : [{ partition: refused.partition, offset: refused.offset }],
  );
  const by = author();
  try {
    const found = await post<RetriedRecords>("/api/quarantine/retry", { records, ...(by === null ? {} : { by }) });
    const gone =
      found.unavailable === 0
        ? ""
        : ` ${plural(found.unavailable, "record")} cannot be taken up: their bytes are gone.`;
    toast({
      kind: found.appended > 0 ? "done" : "failed",
      text: `${plural(found.appended, "record")} taken up again. ${found.next.replaceAll("`", "")}${gone}`,
    });
    return found.appended > 0;
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    toast({ kind: "failed", text: error.message });
    return false;
  }
}
