import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { cachedFolder, type Report } from "../../deploy/local/cache.js";
import { run } from "../../deploy/local/command.js";
import { requirePrograms } from "../../deploy/local/local-service.js";

const VERSION = "v0.305.0";

/**
 * The path of promtool, built from Prometheus' module into the cache (once; some three minutes). `go install` refuses the module's exclude lines, so that its
 * sources are copied out of Go's own cache. Throws E_SERVICE.
 */
export async function promtool(report: Report): Promise<string> {
  const folder = await cachedFolder(
    `promtool-${VERSION}`,
    async (partial) => {
      await requirePrograms("build promtool", ["go"]);
      report(`building promtool ${VERSION} from its Go module (once; some three minutes)`);
      const doing = "building promtool";
      const found = await run("go", ["mod", "download", "-json", `github.com/prometheus/prometheus@${VERSION}`], {
        folder: partial,
        doing,
      });
      const { Dir: sources } = JSON.parse(found) as { Dir: string };
      const copied = join(partial, "sources");
      await cp(sources, copied, { recursive: true });
      await run("chmod", ["-R", "u+w", copied], { folder: partial, doing });
      await run("go", ["build", "-o", join(partial, "promtool"), "./cmd/promtool"], { folder: copied, doing, report });
      await rm(copied, { recursive: true });
    },
    report,
  );
  return join(folder, "promtool");
}
