import type { GoProgram } from "../local/go-program.js";

/** What checks what is deployed, built from Go modules: no cluster and no container engine are needed. */
export const HELM: GoProgram = {
  name: "helm",
  module: "helm.sh/helm/v3",
  package: "helm.sh/helm/v3/cmd/helm",
  version: "v3.19.2",
  checksum: "h1:psQjaM8aIWrSVEly6PgYtLu/y6MRSmok4ERiGhZmtUY=",
  takes: "about 2 minutes",
};

export const KUBECONFORM: GoProgram = {
  name: "kubeconform",
  module: "github.com/yannh/kubeconform",
  package: "github.com/yannh/kubeconform/cmd/kubeconform",
  version: "v0.7.0",
  checksum: "h1:ZFfniR8VChrWQxaxTUGnNrxw8RIDkjVBrjdhXSamwjw=",
  takes: "some seconds",
};

/** Prints a compose file resolved, or says what is wrong in it. */
export const COMPOSE: GoProgram = {
  name: "cmd",
  module: "github.com/compose-spec/compose-go/v2",
  package: "github.com/compose-spec/compose-go/v2/cmd",
  version: "v2.9.1",
  checksum: "h1:8UwI+ujNU+9Ffkf/YgAm/qM9/eU7Jn8nHzWG721W4rs=",
  takes: "some seconds",
};
