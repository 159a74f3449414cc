import { readFileSync } from "node:fs";
import { codeOf, SluiceError } from "../../schemas/errors.js";

/** What a file has that a setting names. Throws E_FILE. */
export function settingsFile(setting: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const code = codeOf(cause);
    if (code === undefined) throw cause;
    throw new SluiceError("E_FILE", `Expected to read ${path}, which ${setting} names, found ${code}.`, {
      cause,
      path,
    });
  }
}

/** The same of PEM: a certificate or a key. Throws E_FILE. */
export function pemFile(setting: string, path: string): string {
  const text = settingsFile(setting, path);
  if (text.includes("-----BEGIN ")) return text;
  throw new SluiceError(
    "E_FILE",
    `Expected PEM (-----BEGIN …) in ${path}, which ${setting} names, found something else. A PKCS#12 or JKS store becomes PEM by \`openssl pkcs12\` or \`keytool\`.`,
    { path },
  );
}
