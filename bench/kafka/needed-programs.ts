import { missingPrograms } from "../../deploy/local/command.js";

/** Why the real servers cannot be started here, or null: only what is not installed is a reason. */
export async function cannotStartBecause(): Promise<string | null> {
  const missing = await missingPrograms(["java", "mvn", "go"]);
  return missing.length === 0
    ? null
    : `a real Kafka and a real MinIO need ${missing.join(" and ")}, not installed here`;
}
