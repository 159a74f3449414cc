import type { LeavingVersion } from "../../pipelines/collect/retire-versions.js";
import { counted } from "../../schemas/counted.js";
import { bytesText, tableText } from "../wording.js";

/** What is said above the manifest of a version that was let go. */
export function retiredText({ atMs, reason }: { readonly atMs: number; readonly reason: string }): string {
  return `Let go at ${new Date(atMs).toISOString()} (${reason}): its files go, this stays.`;
}

/** Lines on versions that a rule lets go; `changed`: done, and not only asked for. */
export function leavingLines(versions: readonly LeavingVersion[], changed: boolean): string[] {
  const lines: string[] = [];
  const say = (step: LeavingVersion["step"], text: (what: string, size: string) => string): void => {
    const some = versions.filter((one) => one.step === step);
    if (some.length === 0) return;
    const names = some.map(({ dataset, number }) => `${dataset}/${number}`);
    const listed =
      names.length > 12 ? `${names.slice(0, 12).join(", ")} and ${names.length - 12} more` : names.join(", ");
    const sizeBytes = some.reduce((sum, one) => sum + one.sizeBytes, 0);
    lines.push(text(`${counted(some.length, "version")} (${listed})`, bytesText(sizeBytes)));
  };
  say("retired", (what, size) => `${changed ? "Let" : "Would let"} ${what} go: ${size}, which go an hour later`);
  say("waits", (what, size) => `Let go before, and still there for those who read: ${what}, ${size}`);
  say("freed", (what, size) => `${changed ? "Freed" : "Would free"} ${what}, let go before: ${size}`);
  say("kept", (what) => `${changed ? "Kept" : "Would keep"} ${what} again: something names them by now`);
  return lines;
}

/** The same as a table, for the command that makes the rule. */
export function leavingTable(versions: readonly LeavingVersion[]): string {
  return tableText(
    ["version", "published", "files", "size"],
    versions.map(({ dataset, number, createdAt, files, sizeBytes }) => [
      `${dataset}/${number}`,
      createdAt,
      files,
      bytesText(sizeBytes),
    ]),
  );
}
