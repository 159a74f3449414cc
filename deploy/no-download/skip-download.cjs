"use strict";

/**
 * onnxruntime-node carries its CPU library in the package; its install script would only download the CUDA provider, from outside the npm
 * registry. The script calls this before it reads what it is asked for. A setting in `.npmrc` would do the same, but npm warns of it on every call.
 */
exports.bootstrap = () => {
  process.env.ONNXRUNTIME_NODE_INSTALL ??= "skip";
};
