import { ERROR_CODES, SluiceError, type ErrorCode } from "../../schemas/errors.js";
import { EXIT_TEXT } from "../failure.js";

/** docs/errors.md: every error code and exit code, from the lists that the code itself uses. */
export function errorsPage(): string {
  const codes = Object.entries(ERROR_CODES) as [ErrorCode, string][];
  return [
    "<!-- Printed from schemas/errors.ts by `npm run schema`: change it there. -->",
    "",
    "# Errors",
    "",
    "A command that fails prints `error E_CODE: message` on stderr; with `--json`, one object",
    '`{"error": {"code", "message", "context"}}` on stdout. The message says what was expected, what was found, where, and what to',
    "do. `SLUICE_DEBUG=1` adds the stack. Codes beginning with `E_IMAGE_` and `E_RECORD_` are also reasons in the quarantine: they",
    "cost one image, not the run.",
    "",
    "## Codes",
    "",
    "| code | means | exit code |",
    "|---|---|---|",
    ...codes.map(([code, means]) => `| \`${code}\` | ${means} | ${new SluiceError(code, "").exitCode} |`),
    "",
    "## Exit codes",
    "",
    "| code | means |",
    "|---|---|",
    ...EXIT_TEXT.map(([code, means]) => `| ${code} | ${means} |`),
    "",
  ].join("\n");
}
