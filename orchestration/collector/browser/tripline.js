// What visitors of a page do, for Tripline's collector. One line puts it on a page:
//   <script async src="https://collector.example/tripline.js?writeKey=KEY"></script>
// Settings are parameters of that address: dnt=1 honours Do Not Track, consent=1 sends nothing before
// tripline.consent(...) was called, pages=0 leaves page views to the page's own tripline.page().
// Global Privacy Control is always honoured: whoever sends it counts as having refused marketing.
(function (w, d, n) {
  var at = new URL(d.currentScript.src), param = at.searchParams
  var HOST = at.origin, KEY = param.get('writeKey')
  var PING = 15e3, MOST = 200, MOST_BYTES = 4e5, SLOWEST = 3e5, ORPHAN = 6e4
  var NAMES = {
    view_item: 'Product Viewed', add_to_cart: 'Product Added', remove_from_cart: 'Product Removed',
    begin_checkout: 'Checkout Started', purchase: 'Order Completed', view_item_list: 'Product List Viewed',
    search: 'Products Searched', login: 'Signed In', sign_up: 'Signed Up'
  }

  function id() {
    var b = crypto.getRandomValues(new Uint8Array(16)), s = ''
    for (var i = 0; i < 16; i++) s += (b[i] + 256).toString(16).slice(1)
    return s
  }

  // Where storage is forbidden, everything lasts as long as the page.
  var memory = {}
  function get(name) {
    try { return localStorage.getItem(name) } catch (e) { return memory[name] || null }
  }
  function put(name, value) {
    memory[name] = value
    try { value === null ? localStorage.removeItem(name) : localStorage.setItem(name, value) } catch (e) { }
  }
  function json(name) {
    try { return JSON.parse(get(name)) } catch (e) { return null }
  }

  // Each tab keeps its own queue, so that no other one overwrites it; a reload finds its own again.
  var tab
  try { tab = sessionStorage.tripline || (sessionStorage.tripline = id()) } catch (e) { tab = id() }
  var QUEUE = 'tripline.q.' + tab, queue = [], sending = 0, wait = 0, timer
  function save() {
    put(QUEUE, queue.length ? JSON.stringify({ at: Date.now(), q: queue }) : null)
  }
  function adopt() {
    try {
      Object.keys(localStorage).forEach(function (name) {
        if (name.indexOf('tripline.q.')) return
        var left = json(name)
        if (name === QUEUE || !left || Date.now() - left.at > ORPHAN) {
          queue = ((left && left.q) || []).concat(queue)
          if (name !== QUEUE) put(name, null)
        }
      })
    } catch (e) { }
  }

  var prefs = json('tripline.consent')
  function silent() {
    return !KEY || prefs === false || (prefs && prefs.analytics === false) ||
      (param.get('consent') && !prefs) || (param.get('dnt') && (n.doNotTrack === '1' || w.doNotTrack === '1'))
  }
  function consent() {
    var said = Object.assign({}, prefs, n.globalPrivacyControl ? { marketing: false } : null)
    return Object.keys(said).length ? { categoryPreferences: said } : undefined
  }
  function device() {
    var known = get('tripline.id')
    if (!known) put('tripline.id', known = id())
    return known
  }

  function send(type, more) {
    if (silent()) return
    queue.push(Object.assign({
      type: type, messageId: id(), anonymousId: device(), userId: get('tripline.user') || undefined,
      timestamp: new Date().toISOString(),
      context: { page: { url: d.location.href, title: d.title, referrer: d.referrer || undefined }, consent: consent() }
    }, more))
    // The oldest go first: what somebody does now says more.
    while (queue.length > MOST || JSON.stringify(queue).length > MOST_BYTES) queue.shift()
    save()
    later(wait || 200)
  }
  function later(ms) {
    if (!timer) timer = setTimeout(function () { timer = 0; flush() }, ms)
  }
  function body(items) {
    return JSON.stringify({ writeKey: KEY, sentAt: new Date().toISOString(), batch: items })
  }
  function flush() {
    if (sending || !queue.length) return
    var items = queue.slice(0, 50)
    sending = 1
    // As plain text: a browser asks nobody's leave for that.
    fetch(HOST + '/v1/batch', { method: 'POST', body: body(items), headers: { 'content-type': 'text/plain' } })
      .then(function (answer) {
        if (answer.status !== 429 && answer.status < 500) return done(items)
        again(answer.headers.get('retry-after') * 1e3)
      }, again)
  }
  function done(items) {
    sending = wait = 0
    queue = queue.filter(function (one) { return items.indexOf(one) < 0 })
    save()
    if (queue.length) later(0)
  }
  function again(asked) {
    sending = 0
    wait = Math.min(Math.max(asked > 0 ? asked : 0, wait * 2 || 1e3), SLOWEST)
    later(wait * (1 + Math.random() / 4))
  }
  // Nobody hears whether a beacon arrived: it stays queued, and a copy of it counts once.
  function leave() {
    var items = queue.slice(-50)
    if (items.length) n.sendBeacon(HOST + '/v1/batch', body(items))
  }

  var href
  function page(props) {
    href = d.location.href
    send('page', { properties: Object.assign({ url: href, title: d.title }, props) })
  }
  function moved() {
    setTimeout(function () { if (d.location.href !== href) page() })
  }
  function track(event, props) {
    send('track', { event: event, properties: Object.assign({ url: d.location.href }, props) })
  }

  function google(event, given) {
    var said = (given && given.ecommerce) || given || {}, name = NAMES[event]
    if (!name) return
    if (said.user_id) put('tripline.user', '' + said.user_id)
    var items = said.items && said.items.length ? said.items : [null]
    items.forEach(function (item, index) {
      // A sum that stands once in the push stands once in what is sent.
      var props = { currency: said.currency, order_id: said.transaction_id, query: said.search_term }
      if (!index) props.revenue = event === 'purchase' ? said.value : undefined
      if (item) Object.assign(props, {
        product_id: item.item_id || item.item_name, name: item.item_name, category: item.item_category,
        brand: item.item_brand, price: item.price, quantity: item.quantity
      })
      track(name, props)
    })
  }
  // An entry is an object with an event, or what gtag() was called with.
  function entry(one) {
    if (!one) return
    if (one[0] === 'event') google(one[1], one[2])
    else if (one[0] === 'set' && one[1] && one[1].user_id) put('tripline.user', '' + one[1].user_id)
    else if (one.event) google(one.event, one)
  }

  var api = {
    track: track,
    page: page,
    identify: function (user, traits) {
      put('tripline.user', '' + user)
      send('identify', { traits: traits || {} })
    },
    reset: function () { put('tripline.user', null); put('tripline.id', null) },
    // false: nothing more, and nothing kept. Else what is allowed: {analytics: true, marketing: false}.
    consent: function (said) {
      prefs = said
      put('tripline.consent', JSON.stringify(said))
      if (silent()) { queue = []; save(); api.reset() } else send('track', { event: 'Consent Updated' })
    },
    push: function (call) { api[call[0]].apply(api, [].slice.call(call, 1)) }
  }

  adopt()
  later(0)
  if (param.get('pages') !== '0') {
    page();
    ['pushState', 'replaceState'].forEach(function (name) {
      var own = history[name]
      history[name] = function () { var out = own.apply(this, arguments); moved(); return out }
    })
    addEventListener('popstate', moved)
    addEventListener('hashchange', moved)
  }

  var layer = w.dataLayer = w.dataLayer || [], push = layer.push
  ;[].slice.call(layer).forEach(entry)
  layer.push = function () { var out = push.apply(this, arguments); [].forEach.call(arguments, entry); return out }

  var used
  ;['mousemove', 'mousedown', 'keydown', 'scroll', 'touchstart'].forEach(function (name) {
    addEventListener(name, function () { used = 1 }, { passive: true, capture: true })
  })
  setInterval(function () {
    if (queue.length) save()
    if (used && d.visibilityState === 'visible') track('page_pinged')
    used = 0
  }, PING)
  d.addEventListener('visibilitychange', function () { if (d.visibilityState === 'hidden') leave() })
  addEventListener('pagehide', leave)

  var early = w.tripline
  w.tripline = api
  if (early && early.forEach) early.forEach(api.push)
})(window, document, navigator)
