// The form that changes a pool's cap.

// In memory only: it goes with the page.
let token = "";

class CapForm {
  constructor(form, pool) {
    Object.assign(this, { form, pool, edited: false, needsToken: false });
    form.ariaLabel = `Cap of ${pool}`;
    this.input = form.elements.cap;
    this.token = form.elements.token;
    this.input.addEventListener("input", () => { this.edited = true; });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.leave();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.put();
    });
  }

  // What is being written stays as it is.
  show(cap, needsToken) {
    this.cap = cap;
    this.needsToken = needsToken;
    this.token.parentElement.hidden = !needsToken || token !== "";
    if (!this.edited) this.input.value = cap;
  }

  leave() {
    this.edited = false;
    this.input.value = this.cap;
    this.say("", false);
  }

  async put() {
    const given = this.needsToken && token === "" ? this.token.value : token;
    if (this.needsToken && given === "") {
      this.token.focus();
      return this.say("Give the token of --admin-token-file.", true);
    }
    const headers = { "content-type": "application/json" };
    if (given !== "") headers.authorization = `Bearer ${given}`;
    const body = JSON.stringify({ cap: this.input.valueAsNumber, pool: this.pool });
    try {
      const answer = await fetch("cap", { method: "PUT", headers, body });
      if (answer.ok) {
        token = given;
        this.token.value = "";
        this.edited = false;
        return this.say(`The cap is ${count(JSON.parse(body).cap)}.`, false);
      }
      if (answer.status === 401) return this.refused();
      return this.say(await answer.text(), true);
    } catch {
      return this.say("The proxy did not answer.", true);
    }
  }

  refused() {
    token = "";
    this.needsToken = true;
    this.token.parentElement.hidden = false;
    this.token.select();
    this.say("This is not the token.", true);
  }

  say(words, isBad) {
    const output = this.form.querySelector("output");
    output.className = isBad ? "bad" : "";
    output.textContent = words.trim();
  }
}
