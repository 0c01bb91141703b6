// The demo's camera button; anywidget runs it in JupyterLab, Colab and Voilà.
// A photo travels to the kernel as a message; it never becomes widget state.
function render({ model, el }) {
  const button = document.createElement("button");
  const video = document.createElement("video");
  const note = document.createElement("p");
  const start = "Use camera";
  let stream = null;
  button.className = "jupyter-widgets jupyter-button widget-button";
  button.textContent = start;
  video.setAttribute("aria-label", "Camera");
  Object.assign(video, { muted: true, playsInline: true });
  video.style.cssText = "display: none; max-width: 320px; transform: scaleX(-1)";
  note.setAttribute("role", "status");
  el.append(button, video, note);

  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = video.srcObject = null;
    video.style.display = "none";
    button.textContent = start;
  };
  const open = async () => {
    stream = await navigator.mediaDevices.getUserMedia({ video: true });
    video.srcObject = stream;
    await video.play();
    video.style.display = "block";
    button.textContent = "Take photo";
  };
  const take = async () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    stop();
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    model.send("photo", undefined, [await blob.arrayBuffer()]);
  };
  button.onclick = async () => {
    note.textContent = "";
    try {
      await (stream ? take() : open());
    } catch (error) {
      stop();
      note.textContent = `The camera cannot be used (${error.message}); upload a photo instead.`;
    }
  };
  return stop;
}
export default { render };
