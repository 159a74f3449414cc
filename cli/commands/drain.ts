import { controlCommand } from "../flow-control.js";

export const declare = controlCommand(
  "drain",
  "Ends the processes that take and score this stream's images once they have scored what the log has by then: they take nothing more from their sources, an `ingest` publishes what is due, and they end. Those who start later know nothing of it.",
  [["sluice drain", "before a machine goes, say"]],
);
