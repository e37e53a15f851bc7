package api

import (
	"errors"
	"net/http"
	"strconv"
)

// adminOnly answers as Prometheus does where the admin API is off.
func (a *API) adminOnly(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !a.cfg.EnableAdmin:
			a.metrics.refused.WithLabelValues("disabled").Inc()
			failure(w, http.StatusInternalServerError, errUnavailable, "admin APIs disabled (api.enable_admin)")
		case a.opts.Admin == nil:
			failure(w, http.StatusInternalServerError, errUnavailable, "this store has no admin API")
		default:
			h(w, r)
		}
	}
}

func (a *API) deleteSeries(w http.ResponseWriter, r *http.Request) {
	selectors := r.Form["match[]"]
	if len(selectors) == 0 {
		failure(w, http.StatusBadRequest, errBadData, "no match[] parameter provided")
		return
	}
	mint, maxt, bad := timeRange(r.Form)
	if bad != nil {
		a.refuse(w, bad)
		return
	}
	// All of them first: a typing error in the last must not leave half the work done.
	sets, err := a.opts.Engine.Parser().ParseMetricSelectors(selectors)
	if err != nil {
		a.refuse(w, badParameter("match[]", err))
		return
	}
	for _, ms := range sets {
		if err := a.opts.Admin.Delete(r.Context(), mint, maxt, ms...); err != nil {
			storeFailure(w, err)
			return
		}
	}
	a.log.Info("deleted series", "selectors", selectors, "start_ms", mint, "end_ms", maxt)
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) cleanTombstones(w http.ResponseWriter, r *http.Request) {
	if err := a.opts.Admin.CleanTombstones(r.Context()); err != nil {
		storeFailure(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) snapshot(w http.ResponseWriter, r *http.Request) {
	skipHead := false
	if s := r.Form.Get("skip_head"); s != "" {
		var err error
		if skipHead, err = strconv.ParseBool(s); err != nil {
			a.refuse(w, badParameter("skip_head", errors.New("unable to parse boolean: "+err.Error())))
			return
		}
	}
	name, err := a.opts.Admin.Snapshot(r.Context(), skipHead)
	if err != nil {
		storeFailure(w, err)
		return
	}
	a.log.Info("made snapshot", "name", name)
	success(w, map[string]string{"name": name})
}
