import { missingPrograms } from "../../../deploy/local/command.js";

const NEEDED = { kafka: ["java", "mvn"], minio: ["go"], versitygw: ["go"] } as const;

/**
 * The reason why a test cannot start `service` here, printed loudly, or false. Only programs that are not installed are
 * a reason: a server that does not build or start is a failure.
 */
export async function cannotStart(service: keyof typeof NEEDED): Promise<string | false> {
  const missing = await missingPrograms(NEEDED[service]);
  if (missing.length === 0) return false;
  const reason = `NOT TESTED: a real ${service} needs ${missing.join(" and ")}, not installed here`;
  process.stderr.write(`\n*** ${reason} ***\n\n`);
  return reason;
}
