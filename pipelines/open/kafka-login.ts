import { execFile } from "node:child_process";
import type { ConnectionOptions } from "node:tls";
import { promisify } from "node:util";
import type { SASLOptions } from "kafkajs";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { pemFile, settingsFile } from "./settings-file.js";

/** A token command that says nothing for this long has failed, ms */
const TOKEN_MS = 30_000;

/** How connections are encrypted; null: they are not. Throws E_FILE. */
export function kafkaTls({ tls }: Pick<KafkaConfig, "tls">): true | ConnectionOptions | null {
  if (typeof tls === "boolean") return tls ? true : null;
  const { ca, cert, key, serverName } = tls;
  return {
    ...(ca === undefined ? {} : { ca: pemFile("kafka.tls.ca", ca) }),
    ...(cert === undefined ? {} : { cert: pemFile("kafka.tls.cert", cert) }),
    ...(key === undefined ? {} : { key: pemFile("kafka.tls.key", key) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/** How this process logs in, as the client takes it; a token is asked for at every connection, so that one that was renewed is taken. */
export function kafkaLogin(sasl: NonNullable<KafkaConfig["sasl"]>): SASLOptions {
  const { mechanism, username = "", password = "", tokenFile, tokenCommand } = sasl;
  if (mechanism !== "oauthbearer") return { mechanism, username, password };
  return {
    mechanism,
    oauthBearerProvider: async () => {
      const text =
        tokenFile === undefined ? await said(tokenCommand ?? "") : settingsFile("kafka.sasl.tokenFile", tokenFile);
      const value = text.trim();
      if (value !== "" && !/\s/.test(value)) return { value };
      const setting = tokenFile === undefined ? "kafka.sasl.tokenCommand" : "kafka.sasl.tokenFile";
      throw new SluiceError(
        "E_LOG_ACCESS",
        `Expected one token from ${setting}, found ${value === "" ? "nothing" : "several words"}.`,
      );
    },
  };
}

async function said(command: string): Promise<string> {
  try {
    return (await promisify(execFile)("sh", ["-c", command], { timeout: TOKEN_MS })).stdout;
  } catch (error) {
    // Its output may have the token in it: no cause is kept.
    const { code, killed } = error as { readonly code?: unknown; readonly killed?: boolean };
    const found =
      killed === true
        ? `none after ${TOKEN_MS / 1000} s`
        : typeof code === "number"
          ? `exit code ${code}`
          : messageOf(error);
    throw new SluiceError("E_LOG_ACCESS", `Expected a token from kafka.sasl.tokenCommand, found ${found}.`);
  }
}
