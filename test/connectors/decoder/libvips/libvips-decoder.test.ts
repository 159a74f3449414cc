import { openSharpDecoder } from "../../../../connectors/decoder/libvips/libvips-decoder.js";
import { decoderConformance } from "../../../conformance/decoder.js";
import { ways } from "../ways.js";

for (const { name, turbojpeg, skip } of ways) {
  decoderConformance(name, () => openSharpDecoder({ concurrency: 2, turbojpeg }), skip);
}
