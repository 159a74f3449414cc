import { controlCommand } from "../flow-control.js";

export const declare = controlCommand(
  "pause",
  "Holds the processes that take and score this stream's images (`ingest`, `run score`, `run all`), until `sluice resume`: what was read is scored and archived, and nothing more is read. It holds for those who start later, too, and they say so. Versions that are due are published all the same.",
  [["sluice pause --reason 'the disk is moved'", "until `sluice resume`"]],
);
