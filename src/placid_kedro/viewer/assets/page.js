"use strict";

const FRAMES_AFTER_A_CHANGE = 8;
const MS_AFTER_A_CHANGE = 1500;

const byId = (id) => document.getElementById(id);
const bytesOf = (id) => Uint8Array.from(atob(byId(id).textContent), (character) => character.charCodeAt(0));

async function unpack(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function showMoment() {
  const chosen = Number(byId("scrubber").value);
  [...byId("frames").children].forEach((figure, index) => {
    figure.hidden = index !== chosen;
    if (index === chosen) byId("moment").textContent = figure.dataset.moment;
  });
}

function say(text) {
  byId("message").textContent = text;
  byId("message").hidden = false;
}

// The world has z up and its front towards x, three.js has y up; the file's own axes have y down and z away.
function placeCamera(camera, azimuthDeg, elevationDeg, distance) {
  const azimuth = (azimuthDeg * Math.PI) / 180;
  const elevation = (elevationDeg * Math.PI) / 180;
  const flat = distance * Math.cos(elevation);
  camera.position.set(flat * Math.sin(azimuth), distance * Math.sin(elevation), flat * Math.cos(azimuth));
  camera.up.set(0, 1, 0);
  camera.lookAt(0, 0, 0);
}

async function start() {
  const settings = JSON.parse(byId("settings").textContent);
  if (!document.createElement("canvas").getContext("webgl2")) {
    return say("This browser has no WebGL 2, which drawing the object needs. Switch on hardware acceleration or take another browser; the pictures below need nothing.");
  }
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(await unpack(bytesOf("libraries")));
  document.head.append(script);
  const { Color, OrbitControls, PerspectiveCamera, Scene, SparkRenderer, SplatMesh, WebGLRenderer } = window.SplatLibraries;
  const stage = byId("stage");
  const renderer = new WebGLRenderer({ antialias: false, preserveDrawingBuffer: true });
  const scene = new Scene();
  scene.background = new Color(1, 1, 1);
  const spark = new SparkRenderer({ renderer });
  scene.add(spark);
  const splats = new SplatMesh({ fileBytes: await unpack(bytesOf("splats")), fileType: "ply" });
  splats.quaternion.set(1, 0, 0, 0);
  scene.add(splats);
  const camera = new PerspectiveCamera(settings.field_of_view_deg, 1, 0.01, 100);
  const controls = new OrbitControls(camera, renderer.domElement);
  // Splats are sorted beside the drawing, so a few more pictures follow each change; then nothing is drawn until the next.
  const awake = { frames: 0, until: 0 };
  const wake = () => Object.assign(awake, { frames: FRAMES_AFTER_A_CHANGE, until: performance.now() + MS_AFTER_A_CHANGE });
  controls.addEventListener("change", wake);
  const look = (azimuthDeg, elevationDeg, distance) => {
    controls.target.set(0, 0, 0);
    placeCamera(camera, azimuthDeg, elevationDeg, distance);
    controls.update();
    wake();
  };
  look(0, settings.elevation_deg, settings.distance);
  byId("front").addEventListener("click", () => look(0, settings.elevation_deg, settings.distance));
  const fit = () => {
    renderer.setPixelRatio(settings.pixel_ratio ?? window.devicePixelRatio);
    renderer.setSize(stage.clientWidth, stage.clientHeight, false);
    wake();
  };
  new ResizeObserver(fit).observe(stage);
  fit();
  await splats.initialized;
  stage.append(renderer.domElement);
  const status = { frames: 0, firstFrameMs: null, look, wake, renderer };
  renderer.setAnimationLoop(() => {
    controls.update();
    if (awake.frames <= 0 && performance.now() > awake.until) return;
    awake.frames -= 1;
    renderer.render(scene, camera);
    status.frames += 1;
    if (status.firstFrameMs === null) {
      status.firstFrameMs = performance.now();
      byId("message").hidden = true;
    }
  });
  window.splatView = status;
}

if (byId("scrubber")) {  // splats of another program have no optimisation to show
  byId("scrubber").addEventListener("input", showMoment);
  showMoment();
}
start().catch((error) => say(`The object cannot be shown: ${error.message}`));
